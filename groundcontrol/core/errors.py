"""Errors of the hub that several slices raise. A slice has its own beside what raises them."""

from __future__ import annotations


class HubError(Exception):
    """A request was refused or failed. The text tells the user what happened and what to do.

    `code` is public and stable, `status` that of an HTTP answer. `detail` has values for programs, never secrets; an HTTP answer has them in `facts`.
    """

    code = "internal"
    status = 500

    def __init__(self, message: str, **detail: object) -> None:
        super().__init__(message)
        self.message = message
        self.detail = detail


class ConfigError(Exception):
    """A setting, or the data of the hub, is missing, invalid or unsafe. The hub does not start (exit status 78), or the command fails."""


# -- store -----------------------------------------------------------------------------


class StoreError(HubError):
    """The database refused an operation. The hub's log names the reason."""

    code = "store.failed"


class StoreDown(StoreError):
    """The database does not answer. Whether the request took effect is unknown: repeat it."""

    code = "store.down"
    status = 503


class StoreBusy(StoreError):
    """The database is locked, overloaded or being closed, or its disk hangs: repeat the request."""

    code = "store.busy"
    status = 503


class StoreFull(StoreError):
    """The disk of the database is full. Until space is free, the hub stores no data of nodes and no changes of users."""

    code = "store.full"
    status = 507


class StoreDamaged(StoreError):
    """A stored record is corrupt; the others are readable. `stardust doctor` lists all corrupt records."""

    code = "store.damaged"


class StoreReadOnly(StoreError):
    """The database cannot be written. Check the permissions and the disk of the data folder."""

    code = "store.read_only"
    status = 503


class Fenced(StoreError):
    """This session of a node has ended: another session owns the node, or the node was removed."""

    code = "store.fenced"
    status = 409


class Conflict(HubError):
    """The object has changed meanwhile, or its state does not allow this. Read it again."""

    code = "conflict"
    status = 409


class NotFound(HubError):
    """The object does not exist, or the caller may not see it."""

    code = "not_found"
    status = 404


# -- vault -----------------------------------------------------------------------------


class VaultError(HubError):
    """An encrypted value cannot be decrypted: it was altered or moved, or another key encrypted it."""

    code = "vault.not_opened"


# -- requests --------------------------------------------------------------------------


class BadRequest(HubError):
    """The request is invalid. The text says why."""

    code = "request.invalid"
    status = 400


class EventUnknown(BadRequest):
    """No event has this type, or programs may not report events of this type. docs/events.md lists the types."""

    code = "event.type_unknown"


class TooLarge(HubError):
    """The request body is larger than allowed."""

    code = "request.too_large"
    status = 413


class HeadersTooLarge(HubError):
    """The request has too many or too large headers. Other servers on the same host name may have set many cookies."""

    code = "request.headers_too_large"
    status = 431


class TooManyRequests(HubError):
    """The user has reached the limit for expensive requests. Repeat after `Retry-After`."""

    code = "request.too_many"
    status = 429


class UnsupportedType(HubError):
    """This call does not accept the content type of the request."""

    code = "request.unsupported_type"
    status = 415


class NotAcceptable(HubError):
    """The answer is not available in a type that `Accept` allows."""

    code = "request.not_acceptable"
    status = 406


class MethodNotAllowed(HubError):
    """This path does not support the method."""

    code = "request.method_not_allowed"
    status = 405


class IdempotencyMismatch(Conflict):
    """The Idempotency-Key was already used for another request. Choose a new one."""

    code = "request.idempotency_mismatch"


class Unauthenticated(HubError):
    """The session is missing or has expired. Log in again."""

    code = "auth.required"
    status = 401


class BadCredentials(Unauthenticated):
    """The user name, the password or the code is wrong."""

    code = "auth.bad_credentials"


class TotpRequired(Unauthenticated):
    """The password is correct, but the log-in also needs a code of the second factor."""

    code = "auth.totp_required"


class TotpWrong(BadCredentials):
    """The code of the second factor is wrong, expired or already used."""

    code = "auth.totp_wrong"


class TotpEnrolmentRequired(HubError):
    """The user must set up a second factor first."""

    code = "auth.totp_enrolment_required"
    status = 403


class TooManyAttempts(HubError):
    """The rate limit is reached. Repeat after `Retry-After`."""

    code = "auth.rate_limited"
    status = 429


class PasswordChangeRequired(HubError):
    """The user must change the password first."""

    code = "auth.password_change_required"
    status = 403


class StepUpRequired(HubError):
    """This action needs the password again."""

    code = "auth.step_up_required"
    status = 403


class SetupCodeRequired(HubError):
    """A log-in with the first password from a public or unverified address also needs the code on the hub's console."""

    code = "auth.setup_code_required"
    status = 403


class WeakPassword(BadRequest):
    """The new password violates a rule, which the text names."""

    code = "auth.weak_password"


class Forbidden(HubError):
    """The caller lacks the right to do this."""

    code = "auth.forbidden"
    status = 403


class OrganisationRequired(BadRequest):
    """The user belongs to several organisations, and the request names none. Send the header Stardust-Organisation."""

    code = "organisation.required"


class OrganisationUnknown(Forbidden):
    """The caller belongs to no organisation of this name, or to none at all."""

    code = "organisation.unknown"


class OrganisationSuspended(Forbidden):
    """The organisation is suspended. An admin of the instance can resume it."""

    code = "organisation.suspended"


class LastAdmin(Conflict):
    """The last admin that can log in must stay. Make another one first."""

    code = "organisation.last_admin"


class QuotaReached(Conflict):
    """The organisation has as many nodes as it may have. An admin of the instance can raise the quota."""

    code = "organisation.quota"


class HasNodes(Conflict):
    """The organisation still has nodes. Remove their agents first, or delete it with `abandon`."""

    code = "organisation.has_nodes"


class SsoRequired(Forbidden):
    """The organisation of this user allows log-ins through its provider only. Use the provider's button on the log-in page."""

    code = "auth.sso_required"


class CrossSite(Forbidden):
    """The request does not prove that it comes from the hub's own page."""

    code = "auth.cross_site"


# -- nodes, jobs, deployments ------------------------------------------------------------


class NodeOffline(HubError):
    """The node is not connected. Repeat once it has reconnected."""

    code = "node.offline"
    status = 409


class JournalUnreadable(HubError):
    """The node cannot read its journal, or its agent is too old to read it; the text says why."""

    code = "node.journal_unreadable"
    status = 409


class PolicyRefuses(HubError):
    """The node's own policy does not allow this action."""

    code = "node.policy_refuses"
    status = 409


class NodeFrozen(HubError):
    """A freeze covers the node: nothing changes its packages or reboots it. End or shorten the freeze first, or let an admin override it with `override_freeze`."""

    code = "node.frozen"
    status = 409


class JobNotCancellable(Conflict):
    """The job can no longer be stopped safely."""

    code = "job.not_cancellable"


class ClockBehind(HubError):
    """The hub's clock is behind its own audit log. Nobody can log in until the clock is correct, or a user of the hub's machine accepts it."""

    code = "auth.clock_behind"
    status = 503


class Unavailable(HubError):
    """The hub is starting, stopping or overloaded. Repeat later."""

    code = "unavailable"
    status = 503
