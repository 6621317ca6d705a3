"""A dictionary of a dozen words, in the format of WordNet's database."""

from __future__ import annotations

from srtoolkit.stimuli import lexicon

LICENCE = "  1 This software and database is being provided to you\n"
NOUNS = """\
00000010 05 n 01 animal 0 000 | a living thing
00000011 05 n 02 dog 0 hound 0 001 @ 00000010 n 0000 | it barks
00000012 05 n 01 cat 0 001 @ 00000010 n 0000 | it purrs
00000013 05 n 01 puppy 0 001 @ 00000011 n 0000 | a young dog
00000014 05 n 0a stone 0 b 0 c 0 d 0 e 0 f 0 g 0 h 0 i 0 rock 0 001 @i 00000015 n 0000 | ten words; it is hard | so
00000015 05 n 01 thing 0 000 | whatever
"""
ADJECTIVES = """\
00000001 00 a 02 big 0 Large(p) 0 002 & 00000002 a 0000 ! 00000003 a 0101 | of size
00000002 00 s 01 great 0 001 & 00000001 a 0000 | of size
00000003 00 a 02 small 0 little 1 001 ! 00000001 a 0101 | of size
"""
VERBS = "00000020 30 v 02 run 0 dog 0 000 02 + 02 00 + 08 00 | go fast\n"


def wordnet():
    return lexicon.read_wordnet((LICENCE + NOUNS + ADJECTIVES + VERBS).splitlines(keepends=True))
