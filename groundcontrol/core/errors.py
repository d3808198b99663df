"""Every public error of the hub. `web/errors.py` alone maps codes to HTTP answers."""

from __future__ import annotations


class HubError(Exception):
    """A request was refused or failed. The text tells the user what happened and what to do.

    `code` is public and stable. `detail` has values for programs, never secrets; an HTTP answer has them in `facts`.
    """

    code = "internal"

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


class StoreBusy(StoreError):
    """The database is locked, overloaded or being closed, or its disk hangs: repeat the request."""

    code = "store.busy"


class StoreFull(StoreError):
    """The disk of the database is full. Until space is free, the hub stores no data of nodes and no changes of users."""

    code = "store.full"


class StoreDamaged(StoreError):
    """A stored record is corrupt; the others are readable. `stardust doctor` lists all corrupt records."""

    code = "store.damaged"


class StoreReadOnly(StoreError):
    """The database cannot be written. Check the permissions and the disk of the data folder."""

    code = "store.read_only"


class Fenced(StoreError):
    """This session of a node has ended: another session owns the node, or the node was removed."""

    code = "store.fenced"


class Conflict(HubError):
    """The object has changed meanwhile, or its state does not allow this. Read it again."""

    code = "conflict"


class NotFound(HubError):
    """The object does not exist, or the caller may not see it."""

    code = "not_found"


# -- vault -----------------------------------------------------------------------------


class VaultError(HubError):
    """An encrypted value cannot be decrypted: it was altered or moved, or another key encrypted it."""

    code = "vault.not_opened"


# -- requests --------------------------------------------------------------------------


class BadRequest(HubError):
    """The request is invalid. The text says why."""

    code = "request.invalid"


class EventUnknown(BadRequest):
    """No event has this type, or programs may not report events of this type. docs/events.md lists the types."""

    code = "event.type_unknown"


class TooLarge(HubError):
    """The request body is larger than allowed."""

    code = "request.too_large"


class HeadersTooLarge(HubError):
    """The request has too many or too large headers. Other servers on the same host name may have set many cookies."""

    code = "request.headers_too_large"


class TooManyRequests(HubError):
    """The user has reached the limit for expensive requests. Repeat after `Retry-After`."""

    code = "request.too_many"


class UnsupportedType(HubError):
    """This call does not accept the content type of the request."""

    code = "request.unsupported_type"


class NotAcceptable(HubError):
    """The answer is not available in a type that `Accept` allows."""

    code = "request.not_acceptable"


class MethodNotAllowed(HubError):
    """This path does not support the method."""

    code = "request.method_not_allowed"


class IdempotencyMismatch(Conflict):
    """The Idempotency-Key was already used for another request. Choose a new one."""

    code = "request.idempotency_mismatch"


class Unauthenticated(HubError):
    """The session is missing or has expired. Log in again."""

    code = "auth.required"


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


class TooManyAttempts(HubError):
    """The rate limit is reached. Repeat after `Retry-After`."""

    code = "auth.rate_limited"


class PasswordChangeRequired(HubError):
    """The user must change the password first."""

    code = "auth.password_change_required"


class StepUpRequired(HubError):
    """This action needs the password again."""

    code = "auth.step_up_required"


class SetupCodeRequired(HubError):
    """A log-in with the first password from a public or unverified address also needs the code on the hub's console."""

    code = "auth.setup_code_required"


class WeakPassword(BadRequest):
    """The new password violates a rule, which the text names."""

    code = "auth.weak_password"


class Forbidden(HubError):
    """The caller lacks the right to do this."""

    code = "auth.forbidden"


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


class LinkExpired(Forbidden):
    """The link of an alert message is older than a week, or another hub made it. Use the link in a newer message."""

    code = "link.expired"


class SsoRequired(Forbidden):
    """The organisation of this user allows log-ins through its provider only. Use the provider's button on the log-in page."""

    code = "auth.sso_required"


class OidcUnavailable(HubError):
    """The provider of single sign-on does not answer, or not as it should; the text says why. Log in with a password, or try again later."""

    code = "oidc.unavailable"


class OidcIssuerMismatch(HubError):
    """The provider has another name (issuer) than the hub's settings give it. Copy it exactly, with or without the slash at its end."""

    code = "oidc.issuer_mismatch"


class OidcFlowOver(Forbidden):
    """This log-in through a provider is over, was finished before, or began in another browser. Start it again from the log-in page."""

    code = "oidc.flow_over"


class OidcRefused(Forbidden):
    """The provider refused the log-in, or its answer is not valid. The text and the provider's page in the settings say why."""

    code = "oidc.refused"


class OidcUnknownAccount(Forbidden):
    """Nobody here has this account of the provider. Log in with a password and link it in the profile, or ask an admin."""

    code = "oidc.unknown_account"


class OidcGroupsMissing(Forbidden):
    """The provider did not say in which groups the user is, which is not the same as none. An admin lets it send the claim."""

    code = "oidc.groups_missing"


class OidcNoOrganisation(Forbidden):
    """The user belongs to no organisation of this hub. An admin adds the user, or a row for one of the user's groups."""

    code = "oidc.no_organisation"


class OidcLinked(Conflict):
    """This account of the provider belongs to another user of this hub. That user, or an admin, removes the link first."""

    code = "oidc.linked_elsewhere"


class CrossSite(Forbidden):
    """The request does not prove that it comes from the hub's own page."""

    code = "auth.cross_site"


# -- nodes, jobs, deployments ------------------------------------------------------------


class NodeOffline(HubError):
    """The node is not connected. Repeat once it has reconnected."""

    code = "node.offline"


class JournalUnreadable(HubError):
    """The node cannot read its journal, or its agent is too old to read it; the text says why."""

    code = "node.journal_unreadable"


class PolicyRefuses(HubError):
    """The node's own policy does not allow this action."""

    code = "node.policy_refuses"


class NodeFrozen(HubError):
    """A freeze covers the node: nothing changes its packages or reboots it. End or shorten the freeze first, or let an admin override it with `override_freeze`."""

    code = "node.frozen"


class CredentialsRequired(HubError):
    """The hub stores no credentials for this server. Send credentials with the request; `facts` name them in `give`."""

    code = "credentials_required"


class PolicyDiffers(HubError):
    """The policy file on the server says something else than the request. `facts` have both texts.

    A repeated request names the `digest` of this difference in `policy_seen`, beside credentials.
    """

    code = "policy_differs"


class TargetNotAllowed(BadRequest):
    """A setting, which the text names, forbids deployments to this address."""

    code = "deployment.target_not_allowed"


class HostKeyMismatch(Conflict):
    """The confirmed fingerprint differs from that of the server."""

    code = "deployment.host_key_mismatch"


class JobNotCancellable(Conflict):
    """The job can no longer be stopped safely."""

    code = "job.not_cancellable"


class ClockBehind(HubError):
    """The hub's clock is behind its own audit log. Nobody can log in until the clock is correct, or a user of the hub's machine accepts it."""

    code = "auth.clock_behind"


class Unavailable(HubError):
    """The hub is starting, stopping or overloaded. Repeat later."""

    code = "unavailable"
