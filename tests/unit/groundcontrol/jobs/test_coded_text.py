"""Mapping an agent's texts to message codes and their parameters."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import spider
from groundcontrol.core.text import clean
from groundcontrol.jobs.coded_text import coded_text, losses, names_loss
from groundcontrol.jobs.messages import MAX_SENTENCE
from spider.wire.sentences import SENTENCES, name_list, sentence

ROOT = Path(spider.__file__).parent
ONE_WORD, REST = "stardust-job@1.service", "a.service: 2.0, b (process 3). (+4)"


def facts_of(code: str) -> dict[str, str]:
    """Awkward parameters: the last one of a sentence may hold anything, the others are one word."""
    *words, last = re.findall(r"\{(\w+)\}", SENTENCES[code]) or [""]
    return {**dict.fromkeys(words, ONE_WORD), **({last: REST} if last else {})}


@pytest.mark.parametrize("code", SENTENCES)
def test_each_sentence_is_found_with_its_facts(code: str) -> None:
    facts = facts_of(code)
    text = sentence(code, **facts)
    assert clean(text, MAX_SENTENCE) == text
    assert coded_text(text) == (code, SENTENCES[code], facts)


@given(
    st.sampled_from(sorted(SENTENCES)).flatmap(
        lambda code: st.fixed_dictionaries({name: st.text() for name in facts_of(code)}).map(lambda facts: sentence(code, **facts))
    )
)
def test_a_matched_sentence_reproduces_the_text(text: str) -> None:
    shown = clean(text, MAX_SENTENCE)
    found = coded_text(shown)
    assert found is None or found.template.format(**found.facts) == shown


@pytest.mark.parametrize(
    "text", ["", "a sentence of another version", "nothing has been changed yet.", "{count} packages would", " more services"]
)
def test_any_other_text_has_no_code(text: str) -> None:
    assert coded_text(text) is None


def test_the_agents_codes_and_the_table_of_codes_are_equal() -> None:
    text = "".join(path.read_text() for path in ROOT.rglob("*.py") if path.name != "sentences.py")
    assert set(re.findall(r'"((?:report|reboot|due|stop|phase)\.[a-z_]+)"', text)) == set(SENTENCES)


def test_names_are_one_fact_without_words() -> None:
    assert name_list(["a", "b"]) == "a, b"
    assert name_list([str(name) for name in range(12)]) == "0, 1, 2, 3, 4, 5, 6, 7, 8, 9 (+2)"


def test_losses_are_what_did_not_come_back_and_no_other_evidence() -> None:
    gone = sentence("reboot.ports", names="tcp 80")
    notes = (sentence("reboot.boot", before="a" * 32, after="b" * 32), sentence("reboot.same", services=1, ports=2, mounts=3), gone)
    assert losses(notes) == [gone]
    assert not names_loss(notes[:2])
