-- The embedded store as Lamppost laid it out in layout 2, with a row or two.
CREATE TABLE series ("series" INTEGER, "sensor" VARCHAR, "quantity" VARCHAR, "qualifiers" VARCHAR, "entry" BIGINT);
CREATE TABLE stations ("sensor" VARCHAR, "name" VARCHAR, "kind" VARCHAR, "latitude" DOUBLE, "longitude" DOUBLE, "period_s" DOUBLE, "owner" VARCHAR, "licence" VARCHAR, "area" VARCHAR, "entry" BIGINT);
CREATE TABLE readings ("series" INTEGER, "time" BIGINT, "received" BIGINT, "value" DOUBLE, "flag" UTINYINT, "reasons" UINTEGER, "score" DOUBLE, "expected" DOUBLE, "band_low" DOUBLE, "band_high" DOUBLE, "revision" INTEGER, "policy" VARCHAR, "entry" BIGINT);
CREATE TABLE latest_readings ("series" INTEGER, "time" BIGINT, "received" BIGINT, "value" DOUBLE, "flag" UTINYINT, "reasons" UINTEGER, "score" DOUBLE, "expected" DOUBLE, "band_low" DOUBLE, "band_high" DOUBLE, "revision" INTEGER, "policy" VARCHAR, "entry" BIGINT);
CREATE TABLE aggregates ("series" INTEGER, "start" BIGINT, "length" BIGINT, "revision" INTEGER, "count" BIGINT, "expected" DOUBLE, "coverage" DOUBLE, "mean" DOUBLE, "min" DOUBLE, "max" DOUBLE, "sd" DOUBLE, "total" DOUBLE, "suspect" BIGINT, "excluded" BIGINT, "flag" UTINYINT, "policy" VARCHAR, "entry" BIGINT);
CREATE TABLE latest_aggregates ("series" INTEGER, "start" BIGINT, "length" BIGINT, "revision" INTEGER, "count" BIGINT, "expected" DOUBLE, "coverage" DOUBLE, "mean" DOUBLE, "min" DOUBLE, "max" DOUBLE, "sd" DOUBLE, "total" DOUBLE, "suspect" BIGINT, "excluded" BIGINT, "flag" UTINYINT, "policy" VARCHAR, "entry" BIGINT);
CREATE TABLE indices ("series" INTEGER, "index" UTINYINT, "end" BIGINT, "revision" INTEGER, "concentration" DOUBLE, "value" DOUBLE, "category" UTINYINT, "coverage" DOUBLE, "beyond" UTINYINT, "policy" VARCHAR, "entry" BIGINT);
CREATE TABLE latest_indices ("series" INTEGER, "index" UTINYINT, "end" BIGINT, "revision" INTEGER, "concentration" DOUBLE, "value" DOUBLE, "category" UTINYINT, "coverage" DOUBLE, "beyond" UTINYINT, "policy" VARCHAR, "entry" BIGINT);
CREATE TABLE alert_events ("alert_id" VARCHAR, "kind" VARCHAR, "at" BIGINT, "rule" VARCHAR, "title" VARCHAR, "severity" VARCHAR, "policy" VARCHAR, "sensor" VARCHAR, "quantity" VARCHAR, "qualifiers" VARCHAR, "since" BIGINT, "observed" DOUBLE, "expected" DOUBLE, "band_low" DOUBLE, "band_high" DOUBLE, "unit" VARCHAR, "sentence" VARCHAR, "clears_when" VARCHAR, "by" VARCHAR, "comment" VARCHAR, "entry" BIGINT, "position" INTEGER);
CREATE TABLE latest_alerts ("alert_id" VARCHAR, "kind" VARCHAR, "at" BIGINT, "rule" VARCHAR, "title" VARCHAR, "severity" VARCHAR, "policy" VARCHAR, "sensor" VARCHAR, "quantity" VARCHAR, "qualifiers" VARCHAR, "since" BIGINT, "observed" DOUBLE, "expected" DOUBLE, "band_low" DOUBLE, "band_high" DOUBLE, "unit" VARCHAR, "sentence" VARCHAR, "clears_when" VARCHAR, "by" VARCHAR, "comment" VARCHAR, "entry" BIGINT, "position" INTEGER);
CREATE TABLE quarantine ("received_at" BIGINT, "source" VARCHAR, "route" VARCHAR, "headers" VARCHAR, "payload" BLOB, "sensor" VARCHAR, "code" VARCHAR, "detail" VARCHAR, "entry" BIGINT, "position" INTEGER);
CREATE TABLE quarantine_states ("message" BIGINT, "row" INTEGER, "state" VARCHAR, "at" BIGINT, "by" VARCHAR, "reason" VARCHAR, "entry" BIGINT);
CREATE TABLE ledger ("source" VARCHAR, "sensor" VARCHAR, "hour" BIGINT, "received" BIGINT, "accepted" BIGINT, "duplicate" BIGINT, "quarantined" BIGINT, "refused" BIGINT, "entry" BIGINT);
CREATE TABLE rules ("policy" VARCHAR, "at" BIGINT, "document" VARCHAR, "entry" BIGINT);
CREATE TABLE meta (key VARCHAR PRIMARY KEY, value BIGINT NOT NULL);
CREATE VIEW alerts AS
SELECT newest.* EXCLUDE ("by", "comment", "at", kind),
    newest."at" AS changed_at,
    CASE newest.kind WHEN 'firing' THEN 'open' ELSE newest.kind END AS state,
    fired.fired_at, acked.acknowledged_at, acked.acknowledged_by, acked."comment"
FROM latest_alerts AS newest
LEFT JOIN (
    SELECT alert_id, max("at") AS fired_at, max(entry) AS entry
    FROM alert_events WHERE kind = 'firing' GROUP BY alert_id
) AS fired ON fired.alert_id = newest.alert_id
LEFT JOIN (
    SELECT alert_id, max(entry) AS entry, arg_max("at", (entry, position)) AS acknowledged_at,
        arg_max("by", (entry, position)) AS acknowledged_by,
        arg_max("comment", (entry, position)) AS "comment"
    FROM alert_events WHERE kind = 'acknowledged' GROUP BY alert_id
) AS acked ON acked.alert_id = newest.alert_id AND acked.entry >= coalesce(fired.entry, 0);
INSERT INTO meta VALUES ('layout', 2), ('cursor', 17);
INSERT INTO series VALUES (0, 'aq-001', 'pm2_5', '', 1);
INSERT INTO readings VALUES (0, 1763762400000000000, 1763762401000000000, 12.5, 1, 0, NULL, NULL, NULL, NULL, 0, '0123456789ab', 2);
INSERT INTO aggregates VALUES (0, 1763758800000000000, 3600000000000, 1, 60, 60.0, 1.0, 12.5, 11.0, 14.0, 0.5, 750.0, 0, 0, 1, '0123456789ab', 5);
INSERT INTO latest_aggregates VALUES (0, 1763758800000000000, 3600000000000, 1, 60, 60.0, 1.0, 12.5, 11.0, 14.0, 0.5, 750.0, 0, 0, 1, '0123456789ab', 5);
INSERT INTO indices VALUES (0, 1, 1763762400000000000, 0, 12.5, 52.0, 2, 1.0, 0, '0123456789ab', 6);
INSERT INTO latest_indices VALUES (0, 1, 1763762400000000000, 0, 12.5, 52.0, 2, 1.0, 0, '0123456789ab', 6);
