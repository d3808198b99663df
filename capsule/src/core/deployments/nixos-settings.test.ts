import assert from "node:assert/strict";
import { test } from "node:test";
import { inviteFileLine, nixosSettings } from "./nixos-settings";

test("the settings name the file of the invite, and what the actions need only where the hub may order", () => {
  assert.match(nixosSettings("managed"), /policy = "managed";\n {2}configuration = \{ path = /);
  assert.match(nixosSettings("readonly"), /policy = "monitor";\n\};$/);
  assert.ok(nixosSettings("monitor").includes(`inviteFile = "${/ (\S+)$/.exec(inviteFileLine)?.[1]}"`));
});
