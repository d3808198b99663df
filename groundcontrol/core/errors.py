"""Every error that the outside may see. No HTTP here: `web/errors.py` alone maps codes to answers."""

from __future__ import annotations


class HubError(Exception):
    """Something was refused or failed; the text says to the user what happened and what to do.

    `code` is public and stable; `detail` holds facts for programs, never secrets.
    """

    code = "internal"

    def __init__(self, message: str, **detail: object) -> None:
        super().__init__(message)
        self.message = message
        self.detail = detail


class ConfigError(Exception):
    """A setting is missing, wrong or unsafe: the hub does not start (exit 78)."""


# -- store -----------------------------------------------------------------------------


class StoreError(HubError):
    """The database did not do what was asked."""

    code = "store.failed"


class StoreDown(StoreError):
    """The database does not answer; whether the command was done is unknown: repeat it."""

    code = "store.down"


class StoreBusy(StoreError):
    """The database is locked by something else: repeat."""

    code = "store.busy"


class StoreFull(StoreError):
    """No space is left for the database; nothing is acknowledged until there is."""

    code = "store.full"


class StoreDamaged(StoreError):
    """Something that is stored cannot be read; the rest can, and `stardust doctor` tells more."""

    code = "store.damaged"


class StoreReadOnly(StoreError):
    """The database cannot be written."""

    code = "store.read_only"


class Fenced(StoreError):
    """This session or lease is over: a newer one owns the node. Stop."""

    code = "store.fenced"


class Conflict(HubError):
    """The thing has changed meanwhile, or is not in a state that allows this."""

    code = "conflict"


class NotFound(HubError):
    """There is no such thing, or the caller may not see it."""

    code = "not_found"


# -- vault -----------------------------------------------------------------------------


class VaultError(HubError):
    """A sealed value does not open: it was altered, moved, or sealed under another key. Never an empty value."""

    code = "vault.not_opened"


# -- requests --------------------------------------------------------------------------


class BadRequest(HubError):
    """What was sent does not fit; the text names the field."""

    code = "request.invalid"


class TooLarge(HubError):
    """The request body is larger than allowed."""

    code = "request.too_large"


class HeadersTooLarge(HubError):
    """The request has too many headers, or one that is too large, as are cookies of many neighbours on one host name."""

    code = "request.headers_too_large"


class TooManyRequests(HubError):
    """This user has asked for something dear too often; `Retry-After` says when to repeat."""

    code = "request.too_many"


class UnsupportedType(HubError):
    """The request body is not of a type that this call takes."""

    code = "request.unsupported_type"


class NotAcceptable(HubError):
    """The answer cannot be given in the form that was asked for."""

    code = "request.not_acceptable"


class MethodNotAllowed(HubError):
    """This path does not know this method."""

    code = "request.method_not_allowed"


class IdempotencyMismatch(Conflict):
    """This Idempotency-Key was used for another request."""

    code = "request.idempotency_mismatch"


class Unauthenticated(HubError):
    """There is no valid session."""

    code = "auth.required"


class BadCredentials(Unauthenticated):
    """User name or password (or code) is wrong."""

    code = "auth.bad_credentials"


class TotpRequired(Unauthenticated):
    """The password is right, and the log-in also needs a code of the second factor."""

    code = "auth.totp_required"


class TotpWrong(BadCredentials):
    """The code of the second factor is wrong, too old, or was used before."""

    code = "auth.totp_wrong"


class TotpEnrolmentRequired(HubError):
    """A second factor must be set up before anything else."""

    code = "auth.totp_enrolment_required"


class TooManyAttempts(HubError):
    """The rate limit is reached; `retry_after_s` in the detail says when to come back."""

    code = "auth.rate_limited"


class PasswordChangeRequired(HubError):
    """The password must be changed before anything else."""

    code = "auth.password_change_required"


class StepUpRequired(HubError):
    """This act wants the password once more."""

    code = "auth.step_up_required"


class SetupCodeRequired(HubError):
    """The default password from a public address, or one that is not known for sure, also needs the code on the hub's console."""

    code = "auth.setup_code_required"


class WeakPassword(BadRequest):
    """The new password does not meet the rules; the text says which."""

    code = "auth.weak_password"


class Forbidden(HubError):
    """The caller may not do this."""

    code = "auth.forbidden"


class LinkExpired(Forbidden):
    """The link of a message is older than a week, or not one of this hub; a newer message has another one."""

    code = "link.expired"


class CrossSite(Forbidden):
    """The request did not prove that it comes from the page itself."""

    code = "auth.cross_site"


# -- nodes, jobs, deployments ------------------------------------------------------------


class NodeOffline(HubError):
    """The node has no live session; try again when it reconnects."""

    code = "node.offline"


class PolicyRefuses(HubError):
    """The node's own policy does not allow this action."""

    code = "node.policy_refuses"


class CredentialsRequired(HubError):
    """No credentials are kept that may be sent to this server: give them with the request; `give` says which."""

    code = "credentials_required"


class TargetNotAllowed(BadRequest):
    """This address cannot be deployed to; the text names the setting that decides."""

    code = "deployment.target_not_allowed"


class HostKeyMismatch(Conflict):
    """The fingerprint that was confirmed is not the one that the server showed."""

    code = "deployment.host_key_mismatch"


class JobNotCancellable(Conflict):
    """The job is beyond the point where stopping is safe."""

    code = "job.not_cancellable"


class ClockBehind(HubError):
    """The hub's clock is behind its own audit log: nobody can log in before it is set right, or accepted on the hub's machine."""

    code = "auth.clock_behind"


class Unavailable(HubError):
    """The hub cannot do this now (draining, starting, overloaded)."""

    code = "unavailable"
