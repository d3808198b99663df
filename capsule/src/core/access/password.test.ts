import assert from "node:assert/strict";
import { test } from "node:test";
import { passwordRules, strength, wordsThatDoNotCount } from "./password";

test("a password must be long, consist of own words, and be typed twice", () => {
  assert.deepEqual(passwordRules("correct horse", "correct horse", "admin", "admin"), { long: true, ownWords: true, match: true });
  assert.equal(passwordRules("😀😁😂😃😄😅", "", "", "").long, false); // six characters
  assert.equal(passwordRules("admin", "admin", "admin", "admin").ownWords, false);
  for (const guessable of ["adminadminadmin", "password1234", "stardust123456", "Ground Control 1", "margarethe99", "abababababab"])
    assert.equal(passwordRules(guessable, "", "margarethe", "").ownWords, false, guessable);
  for (const fine of ["stardust over the hill", "x-password-wolf"]) assert.equal(passwordRules(fine, "", "al", "").ownWords, true, fine);
  assert.deepEqual(wordsThatDoNotCount("Capsule-9200-lab", "admin"), ["capsule"]);
  assert.deepEqual(wordsThatDoNotCount("capsule over the hill", "admin"), []);
  assert.ok(strength("aaaaaaaaaaaaaaaaaaaa") < strength("correct horse battery"));
});
