"""Hidden Markov processes whose belief states are known exactly: Mess3 and RRXOR, of Shai et al. 2024.

Somebody who sees the symbols and knows the process has a belief: a probability for each hidden state. Every symbol
moves it by Bayes' rule, and all that can be predicted follows from it. RRXOR's beliefs are finitely many; Mess3's fill
a fractal.
"""

from __future__ import annotations

from bisect import bisect
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int

from srtoolkit.validation import check_names, check_whole

#: Beliefs closer than this, entry by entry, are one.
SAME = 1e-9
#: Most beliefs that :meth:`Process.belief_states` lists before it says that there is no end of them.
MANY = 1000


@dataclass(frozen=True, eq=False)
class Process:
    """A stationary hidden Markov process: in each hidden state it emits a symbol and goes to a state.

    Attributes:
        name: Its name.
        symbols: One letter for each symbol, in the order of token ids.
        transitions: ``T[x][i, j]``: probability of emitting ``x`` and going to ``j``, in state ``i``.
    """

    name: str
    symbols: str
    transitions: Float[np.ndarray, "symbol state state"]

    @property
    def stationary(self) -> Float[np.ndarray, " state"]:
        """Probability of each hidden state before anything was seen."""
        moves = self.transitions.sum(0)
        conditions = np.vstack([moves.T - np.eye(len(moves)), np.ones(len(moves))])
        return np.linalg.lstsq(conditions, np.r_[np.zeros(len(moves)), 1.0], rcond=None)[0]

    def beliefs(self, tokens: Int[np.ndarray, "prompt pos"]) -> Float[np.ndarray, "prompt pos state"]:
        """Probability of each hidden state after each symbol, given all symbols up to it.

        Args:
            tokens: Token ids of some words, each from its own start.

        Raises:
            ValueError: The process cannot emit such a word, or there are other ids than those of its symbols.
        """
        tokens = np.asarray(tokens)
        if tokens.ndim != 2 or not np.isin(tokens, range(len(self.symbols))).all():
            raise ValueError(
                f"tokens: expected words [word, pos] of ids below {len(self.symbols)}, as {self.name} has."
            )
        belief, found = np.tile(self.stationary, (len(tokens), 1)), []
        for column in tokens.T:
            joint = np.einsum("wi,wij->wj", belief, self.transitions[column])
            if (joint.sum(1) < 1e-14).any():
                word = tokens[int(joint.sum(1).argmin())]
                raise ValueError(f"{self.name} never emits {''.join(self.symbols[x] for x in word)!r}.")
            belief = joint / joint.sum(1, keepdims=True)
            found.append(belief)
        return np.stack(found, axis=1) if found else np.empty((*tokens.shape, len(self.stationary)))

    def predictions(self, beliefs: Float[np.ndarray, "*prompt state"]) -> Float[np.ndarray, "*prompt symbol"]:
        """Probability of each next symbol, given beliefs.

        Args:
            beliefs: Any number of them.
        """
        return beliefs @ self.transitions.sum(2).T

    def sample(self, n: int, length: int, *, seed: int = 0) -> Int[np.ndarray, "prompt pos"]:
        """Words as the process emits them, each from a start of its own.

        Args:
            n: How many.
            length: Number of symbols of each.
            seed: Seed of the draw.
        """
        n, length = check_whole(n, "n", 1, 10**8), check_whole(length, "length", 1, 10**8)
        rng, states = np.random.default_rng(check_whole(seed, "seed")), len(self.stationary)
        # What may happen in a state, as one number: symbol times the number of states, plus the next state.
        ends = self.transitions.transpose(1, 0, 2).reshape(states, -1).cumsum(1)
        happens = [np.append(row[:-1], np.inf).tolist() for row in ends]
        found = np.empty((n, length), dtype=np.int64)
        starts = rng.choice(states, n, p=self.stationary / self.stationary.sum())
        for word, state in enumerate(starts.tolist()):
            emitted = []
            for chance in rng.random(length).tolist():
                symbol, state = divmod(bisect(happens[state], chance), states)
                emitted.append(symbol)
            found[word] = emitted
        return found

    def words(self, length: int) -> tuple[Int[np.ndarray, "prompt pos"], Float[np.ndarray, " prompt"]]:
        """Every word that the process can emit, and its probability.

        Args:
            length: Number of symbols, at most 12.
        """
        length = check_whole(length, "length", 1, 12)
        tokens, joint = np.empty((1, 0), dtype=np.int64), self.stationary[None]
        for _ in range(length):
            joint = np.einsum("wi,xij->wxj", joint, self.transitions)
            place, symbol = np.nonzero(joint.sum(2) > 1e-14)
            tokens, joint = np.column_stack([tokens[place], symbol]), joint[place, symbol]
        return tokens, joint.sum(1)

    def entropies(self, length: int) -> Float[np.ndarray, " pos"]:
        """Entropy of the second, third, … symbol given all before it, in nats: the least loss that a model can have.

        They fall towards the process's entropy rate.

        Args:
            length: Number of symbols that are seen at most, and of entropies.
        """
        tokens, chance = self.words(length)
        said = self.predictions(self.beliefs(tokens))
        surprise = -np.log(said, where=said > 0, out=np.zeros_like(said))
        return chance @ (said * surprise).sum(2)

    def belief_states(self) -> Float[np.ndarray, "belief state"]:
        """All beliefs that words can lead to, the one before the first symbol included, in the order of being reached.

        Raises:
            ValueError: There is no end of them.
        """
        found, new = self.stationary[None], self.stationary[None]
        while len(new):
            joint = np.einsum("bi,xij->bxj", new, self.transitions)
            reached = joint[joint.sum(2) > 1e-14]
            new = np.empty((0, len(self.stationary)))
            for belief in reached / reached.sum(1, keepdims=True):
                if (np.abs(np.vstack([found, new]) - belief).max(1) > SAME).all():
                    new = np.vstack([new, belief])
            found = np.vstack([found, new])
            if len(found) > MANY:
                raise ValueError(f"{self.name} has more than {MANY} belief states: they are a continuum.")
        return found

    def belief_labels(self, tokens: Int[np.ndarray, "prompt pos"]) -> Int[np.ndarray, " prompt"]:
        """Number of the belief state that each word leads to, in :meth:`belief_states`.

        Args:
            tokens: Token ids of some words.

        Raises:
            ValueError: There is no end of belief states, or the process cannot emit a word.
        """
        apart = np.abs(self.beliefs(tokens)[:, -1, None] - self.belief_states()).max(2)
        return apart.argmin(1)


def process(name: str) -> Process:
    """A process by its name.

    ``"mess3"``: three states and symbols; each state mostly stays and mostly emits its own symbol (alpha 0.85, x 0.05
    in Shai et al. 2024, arXiv 2405.15943). Beliefs are a continuum, the next symbol is linear in them.
    ``"rrxor"``: two random bits and their exclusive or, over and over; 36 belief states, five of them certain.

    Args:
        name: ``"mess3"`` or ``"rrxor"``.

    Raises:
        ValueError: There is no such process.
    """
    (name,) = check_names(name, tuple(PROCESSES), "name")
    return PROCESSES[name]()


def _mess3(alpha: float = 0.85, x: float = 0.05) -> Process:
    own, other = alpha, (1 - alpha) / 2
    emits = np.full((3, 3), other) + (own - other) * np.eye(3)  # of the state that is gone to: [symbol, next]
    moves = np.full((3, 3), x) + (1 - 3 * x) * np.eye(3)
    return Process("mess3", "ABC", moves[None] * emits[:, None, :])


def _rrxor() -> Process:
    start, zero, one, false, true = range(5)
    transitions = np.zeros((2, 5, 5))
    for bit in (0, 1):
        transitions[bit, start, (zero, one)[bit]] = 0.5
        transitions[bit, zero, (false, true)[bit]] = 0.5
        transitions[bit, one, (true, false)[bit]] = 0.5
        transitions[bit, (false, true)[bit], start] = 1.0
    return Process("rrxor", "01", transitions)


#: Makes each process, by its name.
PROCESSES = {"mess3": _mess3, "rrxor": _rrxor}
