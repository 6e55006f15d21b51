#!/bin/sh
# SPDX-License-Identifier: EUPL-1.2
# Sets the password of Lamppost's own account, keeps those of all devices, and becomes the broker.
set -eu

: "${LAMPPOST_MQTT__PASSWORD:?set it in .env, see .env.example}"
passwords=${PASSWORDS:-/mosquitto/data/passwords}
umask 077
[ -e "$passwords" ] || : >"$passwords"
mosquitto_passwd -b "$passwords" lamppost "$LAMPPOST_MQTT__PASSWORD"
exec mosquitto -c "${CONFIG:-/mosquitto/config/mosquitto.conf}"
