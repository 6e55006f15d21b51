# SPDX-License-Identifier: EUPL-1.2
"""What operators do: their commands go into the inbox, and the answer waits for the outbox."""

from __future__ import annotations

import asyncio
import re
from http import HTTPStatus
from typing import Final
from urllib.parse import parse_qs, quote

from fastapi import APIRouter, HTTPException, Request
from fastapi.responses import RedirectResponse, Response

from lamppost.alerts import AcknowledgeCommand
from lamppost.log import COMMAND, Record

from .context import PortalContext, context_of
from .formatting import clean
from .pages_console import alert_page
from .queries_alerts import alert_by_id
from .security import check_operator
from .texts import text

router = APIRouter(include_in_schema=False)

_MAX_FORM_BYTES: Final = 16_384
_MOST_FIELDS: Final = 10
_LONGEST: Final = {"by": 80, "comment": 1000}
_WAIT_S: Final = 2.0
_LOOK_S: Final = 0.05


@router.post("/alerts/{alert_id:path}/acknowledge")
async def acknowledge(request: Request, alert_id: str) -> Response:
    """Note that an operator has seen an alert and what is done about it."""
    context = context_of(request)
    check_operator(request, context.settings.http.operator_password.get_secret_value())
    if await asyncio.to_thread(alert_by_id, context.reader, alert_id) is None:
        raise HTTPException(HTTPStatus.NOT_FOUND, text("alert.unknown"))
    form = await _form(request)
    problems = _problems(form)
    if problems:
        return await asyncio.to_thread(
            lambda: alert_page(
                request,
                alert_id,
                status=HTTPStatus.UNPROCESSABLE_ENTITY,
                form=form,
                problems=problems,
            )
        )
    await _send(context, alert_id, form)
    confirmed = await _confirmed(context, alert_id)
    return RedirectResponse(_next_page(form, alert_id, confirmed=confirmed), HTTPStatus.SEE_OTHER)


async def _form(request: Request) -> dict[str, str]:
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > _MAX_FORM_BYTES:
            raise HTTPException(HTTPStatus.REQUEST_ENTITY_TOO_LARGE)
    try:
        fields = parse_qs(
            body.decode(errors="replace"), keep_blank_values=True, max_num_fields=_MOST_FIELDS
        )
    except ValueError as error:
        raise HTTPException(
            HTTPStatus.BAD_REQUEST, text("acknowledge.too_many_fields", most=_MOST_FIELDS)
        ) from error
    return {name: clean(values[0]).strip() for name, values in fields.items()}


def _problems(form: dict[str, str]) -> dict[str, str]:
    problems = {}
    for name, longest in _LONGEST.items():
        value = form.get(name, "")
        if not value:
            problems[name] = text(f"acknowledge.{name}_missing")
        elif len(value) > longest:
            problems[name] = text("acknowledge.too_long", longest=longest)
    return problems


async def _send(context: PortalContext, alert_id: str, form: dict[str, str]) -> None:
    command = AcknowledgeCommand(
        command="acknowledge", alert_id=alert_id, by=form["by"], comment=form["comment"]
    )
    record = Record(COMMAND, context.clock.now_ns(), command.model_dump_json().encode())
    try:
        await asyncio.to_thread(context.inbox.append, [record])
    except OSError as error:
        raise HTTPException(
            HTTPStatus.SERVICE_UNAVAILABLE, text("acknowledge.not_stored")
        ) from error


async def _confirmed(context: PortalContext, alert_id: str) -> bool:
    """Wait a moment for the engine's answer to come back through the outbox."""
    for _turn in range(round(_WAIT_S / _LOOK_S)):
        found = await asyncio.to_thread(alert_by_id, context.reader, alert_id)
        if found is not None and found["state"] != "open":
            return True
        await asyncio.sleep(_LOOK_S)
    return False


def _next_page(form: dict[str, str], alert_id: str, *, confirmed: bool) -> str:
    if not confirmed:
        return f"/alerts/{quote(alert_id)}?sent=1"
    back = form.get("back", "")
    # Only a query of our own console may come from the form: never another site.
    if re.fullmatch(r"/(\?[\w=&%+.-]*)?", back):
        return back
    return f"/alerts/{quote(alert_id)}"
