"""`/api/v1/auth/preferences`: a user's settings of their own page."""

from __future__ import annotations

from groundcontrol.access.preferences import MAX_NAME_CHARS, MAX_QUERY_CHARS, MAX_VIEWS, Preferences, SavedView
from groundcontrol.access.service import person_of
from groundcontrol.access.store import PreferenceStore
from groundcontrol.access.views import PreferencesPatch, PreferencesView, SavedViewBody, SavedViewView
from groundcontrol.core.errors import BadRequest
from groundcontrol.core.text import is_visible
from groundcontrol.web.request import ApiRequest


async def get_preferences(call: ApiRequest) -> PreferencesView:
    """The caller's own."""
    call.query()
    user, _ = person_of(call.caller)
    return _view(await call.services[PreferenceStore].preferences(call.scope, user.id))


async def edit_preferences(call: ApiRequest, body: PreferencesPatch) -> PreferencesView:
    """Change what is named; the rest stays."""
    user, _ = person_of(call.caller)
    store = call.services[PreferenceStore]
    before = await store.preferences(call.scope, user.id)
    wanted = Preferences(
        views=before.views if body.views is None else _views(body.views),
        single_keys=before.single_keys if body.single_keys is None else body.single_keys,
        network_bits=before.network_bits if body.network_bits is None else body.network_bits,
    )
    await store.save_preferences(call.scope, user.id, wanted)
    return _view(wanted)


def _views(asked: list[SavedViewBody]) -> tuple[SavedView, ...]:
    if len(asked) > MAX_VIEWS:
        raise BadRequest(f"at most {MAX_VIEWS} views: remove one first", field="views")
    found = tuple(SavedView(one.name.strip(), one.query) for one in asked)
    for view in found:
        if not 0 < len(view.name) <= MAX_NAME_CHARS or not is_visible(view.name):
            raise BadRequest(f"the name of a view has 1 to {MAX_NAME_CHARS} printable characters", field="views")
        if len(view.query) > MAX_QUERY_CHARS or not is_visible(view.query):
            raise BadRequest(f"a view holds at most {MAX_QUERY_CHARS} printable characters", field="views")
    if len({view.name.casefold() for view in found}) < len(found):
        raise BadRequest("two views have the same name", field="views")
    return found


def _view(preferences: Preferences) -> PreferencesView:
    return PreferencesView(
        views=[SavedViewView(view.name, view.query) for view in preferences.views],
        single_keys=preferences.single_keys,
        network_bits=preferences.network_bits,
    )
