"""Ctrl-C during any long call, in a real kernel: it stops at once, and the same model goes on as if nothing had been.

Jupyter's "interrupt" is SIGINT to the kernel's process, at random moments of a call. Afterwards the same model object
must give the same bits, hold no lock, and carry no hook that it did not have.
"""

from __future__ import annotations

import os
import random
import time
from pathlib import Path

import pytest
from jupyter_client import KernelManager

#: Interrupts in each call.
INTERRUPTS = 3

#: Seconds for which a call is repeated, so that one that a fast machine has done at once is interrupted, too.
LASTS = 2

#: Seconds of work from the interrupt to the kernel's answer; of its processor, since other tests run beside this one.
STOPS_WITHIN = 2.0

SETUP = """
import hashlib, itertools, pathlib, threading, time
import numpy as np, torch
torch.set_num_threads(1)
import srtoolkit as srt
from srtoolkit.suite import configuration, training

fresh = itertools.count()
folder, work = {folder!r}, {work!r}
model = srt.load_model(folder)
words = [chr(97 + i % 26) * (1 + i % 3) + " and " + chr(97 + i // 26 % 26) for i in range(600)]
pairs = list(zip(words, words[1:]))
for steps in (20, 200):  # so that the methods of both kinds of call are settled, and are not what changes
    srt.interpolate(model, pairs[:1], steps=steps)
nano = configuration.Configuration(
    name="tiny", blocks=2, width=32, mlp_width=64, heads=2, context=32, seed=0, steps=3000, batch=4, learning_rate=1e-3,
    warmup=5, decay=5, weight_decay=0.1, threads=1, checkpoints=(0, 5, 3000), shipped=(),
)
tokens = np.random.default_rng(0).integers(0, 4096, 20_000).astype(np.uint16)

def train(until):
    training.train(nano, tokens, tokens[:640], pathlib.Path(work) / f"run{{until}}", until)

def sweep(store, n):
    members = [folder, dict(name=folder, init="random", seed=1), dict(name=folder, init="random", seed=2)]
    return srt.sweep(members, lambda one: srt.interpolate(one, pairs[:n], steps=20), store=f"{{work}}/{{store}}")

def digest(found):
    if hasattr(found, "variables"):
        found = [np.asarray(found[name]).astype(str).tolist() for name in sorted(map(str, found.variables))]
    elif hasattr(found, "fingerprint"):
        found = found.fingerprint
    elif hasattr(found, "tokens_a"):
        found = [ids.tolist() for ids in (*found.tokens_a, *found.tokens_b)]
    return hashlib.sha256(repr(found).encode()).hexdigest()[:16]

def state():
    free = []
    thread = threading.Thread(target=lambda: free.append(model.lock.acquire(timeout=1)) or model.lock.release())
    thread.start(); thread.join()
    hooks = sum(len(m._forward_hooks) + len(m._forward_pre_hooks) for m in model.hf.modules())
    return free, hooks, torch.is_grad_enabled()
"""

#: Name: what takes long, and the same in short, whose result is compared.
CALLS = {
    "interpolate": ("srt.interpolate(model, pairs, steps=200)", "srt.interpolate(model, pairs[:3], steps=20)"),
    "slice_plane": (
        "srt.slice_plane(model, ('a cat', 'the dog', 'rains'), resolution=151)",
        "srt.slice_plane(model, ('a cat', 'the dog', 'rains'), resolution=9)",
    ),
    "count_gate_flips": (
        "srt.count_gate_flips(model, pairs, steps=200)",
        "srt.count_gate_flips(model, pairs[:3], steps=20)",
    ),
    "next_tokens": ("srt.next_tokens(model, pairs)", "srt.next_tokens(model, pairs[:3])"),
    "divergence": ("srt.divergence(model, pairs)", "srt.divergence(model, pairs[:3])"),
    "noise_floor": ("srt.noise_floor(model, pairs)", "srt.noise_floor(model, pairs[:2])"),
    "sample_pairs": (
        "[srt.sample_pairs(model, 100, length=9, seed=s) for s in range(9)]",
        "srt.sample_pairs(model, 20, length=30)",
    ),
    "load_model": ("[srt.load_model(folder) for _ in range(40)]", "srt.load_model(folder)"),
    "sweep": ("sweep(f'store{next(fresh)}', 300)", "sweep('small', 3)"),
    "suite training": ("train(3000)", "train(5)"),
}


class Kernel:
    """A Jupyter kernel that can be asked, and interrupted while it answers."""

    def __init__(self, environment) -> None:
        self.manager = KernelManager(kernel_name="python3")
        self.manager.start_kernel(env=environment, extra_arguments=["--IPKernelApp.log_level=ERROR"])
        self.client = self.manager.client()
        self.client.start_channels()
        self.client.wait_for_ready(timeout=60)

    def begin(self, code):
        return self.client.execute(code, store_history=False)

    def answer(self, asked, timeout):
        """``None``, or the name of the exception that ended the cell; and what it printed."""
        deadline, printed, reply = time.monotonic() + timeout, "", None
        while reply is None:
            message = self.client.get_shell_msg(timeout=max(1.0, deadline - time.monotonic()))
            reply = message if message["parent_header"].get("msg_id") == asked else None
        while True:
            message = self.client.get_iopub_msg(timeout=10)
            if message["parent_header"].get("msg_id") != asked:
                continue
            if message["msg_type"] == "stream" and message["content"]["name"] == "stdout":
                printed += message["content"]["text"]
            if message["msg_type"] == "status" and message["content"]["execution_state"] == "idle":
                break
        content = reply["content"]
        self.traceback = "\n".join(content.get("traceback", []))
        return content.get("ename"), printed.strip()

    def worked(self):
        """Seconds that the kernel's process has worked, all threads together."""
        fields = Path(f"/proc/{self.manager.provisioner.process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def run(self, code, timeout=60):
        failed, printed = self.answer(self.begin(code), timeout)
        assert failed is None, self.traceback
        return printed

    def close(self):
        self.client.stop_channels()
        self.manager.shutdown_kernel(now=True)


@pytest.fixture(scope="module")
def kernel(tiny_folder, tmp_path_factory):
    kernel = Kernel({**os.environ, "TQDM_DISABLE": "1", "OMP_NUM_THREADS": "1"})
    kernel.run(SETUP.format(folder=str(tiny_folder), work=str(tmp_path_factory.mktemp("work"))))
    yield kernel
    kernel.close()


@pytest.mark.parametrize("call", CALLS)
def test_an_interrupt_stops_the_call_and_leaves_model_and_kernel_as_they_were(kernel, call):
    long, short = CALLS[call]
    before = kernel.run(f"print(digest({short}), state())")
    moments = random.Random(call)
    stopped = 0
    for _ in range(4 * INTERRUPTS):
        asked = kernel.begin(f"end = time.monotonic() + {LASTS}\nwhile time.monotonic() < end: {long}")
        time.sleep(moments.uniform(0.02, 0.6))
        kernel.manager.interrupt_kernel()
        pressed = kernel.worked()
        failed, _ = kernel.answer(asked, 60)
        assert kernel.worked() - pressed < STOPS_WITHIN or failed is None
        # None: a busy machine began after the interrupt, or Python was in a finaliser, from which nothing is raised.
        assert failed in ("KeyboardInterrupt", None), kernel.traceback
        assert kernel.run(f"print(digest({short}), state())") == before
        stopped += failed is not None
        if stopped == INTERRUPTS:
            return
    pytest.fail(f"{call} was interrupted {stopped} times of {4 * INTERRUPTS}: it swallows interrupts")


def test_a_sweep_that_was_interrupted_goes_on(kernel):
    moments = random.Random(0)
    for attempt in range(10):
        asked = kernel.begin(f"sweep('stopped{attempt}', 60)")
        time.sleep(moments.uniform(0.2, 0.6))
        kernel.manager.interrupt_kernel()
        if kernel.answer(asked, 60)[0] == "KeyboardInterrupt":
            break
    resumed, whole = (kernel.run(f"print(digest(sweep('{store}', 60)))") for store in (f"stopped{attempt}", "whole"))
    assert resumed == whole
    assert (
        kernel.run("print(sorted({path.suffix for path in pathlib.Path(work, 'whole').iterdir()}))")
        == "['.json', '.lock', '.nc']"
    )
