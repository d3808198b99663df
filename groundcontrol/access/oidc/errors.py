"""What a log-in through a provider is refused for."""

from __future__ import annotations

from groundcontrol.core.errors import Conflict, Forbidden, HubError


class OidcUnavailable(HubError):
    """The provider of single sign-on does not answer, or not as it should; the text says why. Log in with a password, or try again later."""

    code = "oidc.unavailable"
    status = 503


class OidcIssuerMismatch(HubError):
    """The provider has another name (issuer) than the hub's settings give it. Copy it exactly, with or without the slash at its end."""

    code = "oidc.issuer_mismatch"
    status = 502


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
