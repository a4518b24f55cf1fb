"""Does a language model that has read nothing learn to write plans that pass, from verdicts alone?

python examples/grpo_plans.py [--runs N] [--steps N] [--json FILE] [--picture FILE]: GRPO of TRL on a CPU, which has to
be installed (`pip install trl matplotlib`). The model is a GPT-2 of two layers with random weights; nothing is
downloaded.

It has minutes, so its vocabulary is small: the two brackets of a plan for ReachSafe-v0, twelve moves of the tool to
the points of a grid, one of them the goal, and the end of the text. What it writes is text and is judged as any other;
what it writes first is hardly ever a plan. The reward has stages: 0 for no plan, 0.1 for a faulty one, 0.4 to 0.9 for
one that was simulated, 1 for a PASS. It learns on the starts of some seeds and is measured, before and
after, on those of others, with exact intervals of 95 % (Clopper and Pearson, 1934). Each run begins with other weights.
"""

import argparse
import importlib.metadata
import itertools
import json
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from datasets import Dataset
from tokenizers import Tokenizer, decoders, models, pre_tokenizers
from transformers import GPT2Config, GPT2LMHeadModel, PreTrainedTokenizerFast
from trl import GRPOConfig, GRPOTrainer

import worldverify as wv
from worldverify.bench.facts import machine
from worldverify.kernels.binomial import upper_bound
from worldverify.rewards import trl_reward

NAME = "ReachSafe-v0"
GRID = (0.18, 0.50), (-0.46, -0.23, 0.0), (0.20, 0.50)  # m, of x, y and z
PROMPT, PAD, END = "reach", "<pad>", "<end>"
LONGEST = 6  # tokens of an answer

STARTS, ANSWERS = 4, 16  # of a step: starts, and answers to each that GRPO compares with each other
LEARNING_RATE = 1e-3
LEARNT_ON, MEASURED_ON = range(64), range(10_000, 10_256)  # seeds
SHOWN = 10  # steps, first and last, whose mean reward is stated


def main() -> None:
    """Train and measure, a run after the other."""
    parser = argparse.ArgumentParser(description="Teach a tiny language model to write plans, with TRL's GRPO.")
    parser.add_argument("--runs", type=int, default=3, help="each from other random weights")
    parser.add_argument("--steps", type=int, default=240, help="updates of the model in a run")
    parser.add_argument("--json", type=Path, metavar="FILE", help="where the numbers go")
    parser.add_argument("--picture", type=Path, metavar="FILE", help="where the curves go, as PNG")
    arguments = parser.parse_args()
    here = machine()
    here["versions"] |= {name: importlib.metadata.version(name) for name in ("torch", "transformers", "trl")}
    runs = [run(seed, arguments.steps) for seed in range(arguments.runs)]
    factors = [found["reward"]["factor"] for found in runs]
    print(f"The mean reward of a step rises by a factor of {min(factors):.1f} to {max(factors):.1f}.")
    if arguments.json is not None:
        command = f"python examples/grpo_plans.py --runs {arguments.runs} --steps {arguments.steps}"
        report = {"command": command, "machine": here, "task": NAME, "factors": factors, "runs": runs}
        arguments.json.write_text(json.dumps(report, indent=1) + "\n")
    if arguments.picture is not None:
        draw(runs, arguments.picture)


def run(seed: int, steps: int) -> dict[str, Any]:
    """What came of one model: the curves of its training, and what it writes before and after."""
    torch.manual_seed(seed)
    words = tokenizer()
    model = writer(words)
    before = measured(model, words)
    clock = time.perf_counter()
    curve = train(model, words, seed, steps)
    minutes = (time.perf_counter() - clock) / 60
    after = measured(model, words)
    first, last = (float(np.mean(part)) for part in (curve["reward"][:SHOWN], curve["reward"][-SHOWN:]))
    print(
        f"run {seed}, {minutes:.1f} min: the mean reward of {SHOWN} steps rises from {first:.3f} to {last:.3f}; "
        f"from starts not seen {before['passed']} of {before['of']} answers pass before, {after['passed']} after",
        flush=True,
    )
    reward = {"first": first, "last": last, "factor": last / first}
    return {"seed": seed, "minutes": minutes, "reward": reward, "before": before, "after": after, "curve": curve}


def pieces() -> list[str]:
    """What the model can write, piece by piece."""
    moves = [f'{{"skill": "move_to", "position": [{x}, {y}, {z}]}}, ' for x, y, z in itertools.product(*GRID)]
    return ['{"skills": [', "]}", *moves]


def tokenizer() -> PreTrainedTokenizerFast:
    """A token for each piece; a text is its pieces, one after the other."""
    vocabulary = {piece: i for i, piece in enumerate((PAD, END, PROMPT, *pieces()))}
    words = Tokenizer(models.WordLevel(vocabulary, unk_token=PAD))
    words.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    words.decoder = decoders.Fuse()
    return PreTrainedTokenizerFast(tokenizer_object=words, pad_token=PAD, eos_token=END, padding_side="left")


def writer(words: PreTrainedTokenizerFast) -> GPT2LMHeadModel:
    """A small language model that has not learnt anything."""
    sizes = {"n_positions": 1 + LONGEST, "n_embd": 64, "n_layer": 2, "n_head": 4}
    off = {"resid_pdrop": 0.0, "embd_pdrop": 0.0, "attn_pdrop": 0.0}
    marks = {"bos_token_id": None, "eos_token_id": words.eos_token_id, "pad_token_id": words.pad_token_id}
    return GPT2LMHeadModel(GPT2Config(vocab_size=len(words), **sizes, **off, **marks))


def train(model: GPT2LMHeadModel, words: PreTrainedTokenizerFast, seed: int, steps: int) -> dict[str, list[float]]:
    """Curves over the steps: the mean reward, the share of answers that was simulated, the share that passed."""
    starts = Dataset.from_list([{"prompt": PROMPT, "seed": start} for start in LEARNT_ON])
    reward = trl_reward(NAME, kind="staged")
    with tempfile.TemporaryDirectory() as folder:
        config = GRPOConfig(
            output_dir=folder,
            save_strategy="no",
            report_to="none",
            disable_tqdm=True,
            logging_steps=1,
            logging_strategy="steps",
            use_cpu=True,
            bf16=False,
            gradient_checkpointing=False,
            seed=seed,
            max_steps=steps,
            learning_rate=LEARNING_RATE,
            lr_scheduler_type="constant",
            per_device_train_batch_size=STARTS * ANSWERS,
            num_generations=ANSWERS,
            max_completion_length=LONGEST,
        )
        trainer = GRPOTrainer(
            model=model, args=config, reward_funcs=reward, train_dataset=starts, processing_class=words
        )
        trainer.train()
    logged = [row for row in trainer.state.log_history if "reward" in row]
    names = {"reward": "reward", "simulated": f"{reward.__name__}/simulated", "passed": f"{reward.__name__}/passed"}
    return {name: [round(row[key], 4) for row in logged] for name, key in names.items()}


def measured(model: GPT2LMHeadModel, words: PreTrainedTokenizerFast) -> dict[str, Any]:
    """What becomes of an answer to each start that it does not learn on."""
    prompts = words([PROMPT] * len(MEASURED_ON), return_tensors="pt")
    with torch.no_grad():
        written = model.generate(**prompts, do_sample=True, top_k=0, max_new_tokens=LONGEST)
    texts = words.batch_decode(written[:, 1:], skip_special_tokens=True)
    verdicts = [wv.verify(NAME, [text], seed=seed, on="cpu")[0] for text, seed in zip(texts, MEASURED_ON, strict=True)]
    passed, count = sum(v.status == "PASS" for v in verdicts), len(verdicts)
    failed = upper_bound(count - passed, count, confidence=0.975)
    return {
        "of": count,
        "simulated": sum(v.status != "INVALID" for v in verdicts),
        "passed": passed,
        "passed_interval": [round(1 - failed, 4), round(upper_bound(passed, count, confidence=0.975), 4)],
        "examples": texts[:3],
    }


def draw(runs: Sequence[dict[str, Any]], target: Path) -> None:
    """The mean reward and the shares over the steps, a line for each run."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, (left, right) = pyplot.subplots(1, 2, figsize=(9.2, 3.6), dpi=140, layout="constrained", sharex=True)
    for found in runs:
        left.plot(found["curve"]["reward"], color="#2a6fbb", linewidth=1)
        right.plot(found["curve"]["simulated"], color="#8a5a00", linewidth=1)
        right.plot(found["curve"]["passed"], color="#1c7c43", linewidth=1)
    left.set(ylim=(0, 1.02), xlabel="steps of GRPO", ylabel="mean staged reward of a step")
    right.set(ylim=(0, 1.02), xlabel="steps of GRPO", ylabel="share of a step's answers")
    right.plot([], color="#8a5a00", label="can be simulated")
    right.plot([], color="#1c7c43", label="PASS")
    right.legend(frameon=False, loc="center", bbox_to_anchor=(0.38, 0.5))
    minutes = max(found["minutes"] for found in runs)
    figure.suptitle(
        f"{NAME}: a GPT-2 of two layers of random weights, {len(runs)} runs of up to {minutes:.0f} minutes on a CPU",
        fontsize=9,
    )
    for axes in (left, right):
        axes.spines[["top", "right"]].set_visible(False)
    figure.savefig(target, metadata={"Software": None})


if __name__ == "__main__":
    main()
