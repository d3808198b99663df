"""`/api/v1/auth/totp` and `auth/recovery-codes`: the second factor of the caller."""

from __future__ import annotations

from groundcontrol.access.service import person_of
from groundcontrol.access.views import RecoveryCodesView, TotpConfirmBody, TotpView
from groundcontrol.web.request import ApiRequest


async def begin_totp(call: ApiRequest) -> TotpView:
    """Make a second factor that counts from its first code on."""
    user, _ = person_of(call.caller)
    made = await call.services.auth.factors.begin(call.scope, user)
    return TotpView(secret=made.secret, uri=made.uri)


async def confirm_totp(call: ApiRequest, body: TotpConfirmBody) -> RecoveryCodesView:
    """Switch it on by its first code; every other session ends, and recovery codes are shown once."""
    user, session = person_of(call.caller)
    return RecoveryCodesView(codes=await call.services.auth.factors.confirm(call.caller, user, session, body.code))


async def stop_totp(call: ApiRequest) -> None:
    """Switch the second factor off; every other session ends."""
    user, session = person_of(call.caller)
    await call.services.auth.factors.stop(call.scope, user, session)


async def renew_recovery_codes(call: ApiRequest) -> RecoveryCodesView:
    """Ten new recovery codes in place of the old ones."""
    user, _ = person_of(call.caller)
    return RecoveryCodesView(codes=await call.services.auth.factors.renew_codes(call.scope, user))
