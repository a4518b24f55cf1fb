"""The trainers themselves call our rewards: TRL's GRPOTrainer, and the reward loop of veRL on a Ray of this machine.

Every answer is one of a few texts, so that a model of random weights writes plans that pass, fail and cannot be read.
"""

import asyncio
import json
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import worldverify as wv
from worldverify.rewards import Unverified, trl_reward

pytestmark = [pytest.mark.integrations, pytest.mark.filterwarnings("ignore")]  # of other people's code

TASK = "ReachSafe-v0"
GOOD = json.dumps({"skills": wv.load(TASK).good.to_json()["actions"]})  # type: ignore[union-attr]
TEXTS = [GOOD, '{"skills": [{"skill": "home"}]}', '{"skills": [{"skill": "fly"}]}', "I would rather not."]
SEEDS = [3, 4]
NO_STATE = [math.nan] * wv.load(TASK).scene.nstate


@pytest.fixture(scope="session")
def words() -> Any:
    """A tokenizer with a token for each text."""
    tokenizers, transformers = pytest.importorskip("tokenizers"), pytest.importorskip("transformers")
    vocabulary = {text: i for i, text in enumerate(["<pad>", "<end>", "go", *TEXTS])}
    found = tokenizers.Tokenizer(tokenizers.models.WordLevel(vocabulary, unk_token="go"))
    found.pre_tokenizer = tokenizers.pre_tokenizers.WhitespaceSplit()
    found.decoder = tokenizers.decoders.Fuse()
    words = transformers.PreTrainedTokenizerFast(
        tokenizer_object=found, pad_token="<pad>", eos_token="<end>", padding_side="left"
    )
    words.chat_template = "{% for message in messages %}go {% endfor %}"
    return words


def paid(task: str, text: str, seed: int, kind: str = "shaped") -> float:
    """What a text is worth, asked of `verify` itself."""
    verdict = wv.verify(task, [text], seed=seed, on="cpu")[0]
    return float(verdict.status == "PASS") if kind == "binary" else verdict.reward


# TRL


def train(words: Any, folder: Path, rows: list[dict[str, Any]], rewards: list[Any]) -> list[dict[str, Any]]:
    """What GRPOTrainer logs in two steps, with an answer of one token for each of eight prompts."""
    trl, transformers = pytest.importorskip("trl"), pytest.importorskip("transformers")
    datasets = pytest.importorskip("datasets")
    sizes = {"n_positions": 32, "n_embd": 8, "n_layer": 1, "n_head": 1}
    model = transformers.GPT2LMHeadModel(
        transformers.GPT2Config(vocab_size=len(words), **sizes, bos_token_id=None, eos_token_id=1, pad_token_id=0)
    )
    config = trl.GRPOConfig(
        output_dir=str(folder),
        save_strategy="no",
        report_to="none",
        disable_tqdm=True,
        logging_steps=1,
        use_cpu=True,
        bf16=False,
        gradient_checkpointing=False,
        max_steps=2,
        per_device_train_batch_size=16,
        num_generations=8,
        max_completion_length=1,
    )
    trainer = trl.GRPOTrainer(
        model=model,
        args=config,
        reward_funcs=rewards,
        train_dataset=datasets.Dataset.from_list(rows),
        processing_class=words,
    )
    trainer.train()
    return [row for row in trainer.state.log_history if "reward" in row]


class Watched:
    """A reward as it is, and what it was asked and answered."""

    def __init__(self, reward: Any) -> None:
        self.reward, self.__name__, self.calls = reward, reward.__name__, list[Any]()

    def __call__(self, **columns: Any) -> list[float | None]:
        found: list[float | None] = self.reward(**columns)
        self.calls.append((columns, found))
        return found


def test_grpo_is_paid_by_verdicts(words: Any, tmp_path: Path) -> None:
    rewards = [Watched(trl_reward(TASK, kind=kind)) for kind in ("shaped", "binary")]  # type: ignore[arg-type]
    logged = train(words, tmp_path, [{"prompt": "go", "seed": seed} for seed in SEEDS], rewards)
    for reward in rewards:
        assert len(reward.calls) == len(logged) == 2
        for (columns, found), row in zip(reward.calls, logged, strict=True):
            asked = zip(columns["completions"], columns["seed"], strict=True)
            assert found == [paid(TASK, text, seed, reward.reward.kind) for text, seed in asked]
            assert row[f"rewards/{reward.__name__}/mean"] == pytest.approx(np.mean(found), abs=1e-6)
            assert f"{reward.__name__}/passed" in row
    written = {text for columns, _ in rewards[0].calls for text in columns["completions"]}
    assert len(written & set(TEXTS)) > 1


def test_grpo_leaves_out_what_could_not_be_judged(words: Any, tmp_path: Path) -> None:
    reward = Watched(trl_reward(TASK))
    rows = [{"prompt": "go", "state": NO_STATE}, {"prompt": "go", "state": wv.load(TASK).start(3).tolist()}]
    logged = train(words, tmp_path, rows, [reward])
    for (_, found), row in zip(reward.calls, logged, strict=True):
        valid = [x for x in found if x is not None]
        assert len(valid) < len(found)
        assert row["reward"] == pytest.approx(np.mean(valid), abs=1e-6) and math.isfinite(row["loss"])


def test_grpo_hands_over_chats(words: Any, tmp_path: Path) -> None:
    reward = Watched(trl_reward(TASK, kind="staged"))
    rows = [{"prompt": [{"role": "user", "content": "go"}], "task": TASK, "seed": seed} for seed in SEEDS]
    train(words, tmp_path, rows, [reward])
    for columns, found in reward.calls:
        texts = [chat[-1]["content"] for chat in columns["completions"]]
        assert found == trl_reward(TASK, kind="staged")(prompts=texts, completions=texts, seed=columns["seed"])


# veRL


@pytest.fixture(scope="module")
def config(words: Any, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """veRL's own configuration of rewards, with our function for its own."""
    verl, omegaconf = pytest.importorskip("verl"), pytest.importorskip("omegaconf")
    folder = tmp_path_factory.mktemp("tokenizer")
    words.save_pretrained(folder)
    given = {"path": "pkg://worldverify.rewards", "name": "acompute_score", "reward_kwargs": {"seed": 5}}
    reward = omegaconf.OmegaConf.load(Path(verl.__file__).parent / "trainer" / "config" / "reward" / "reward.yaml")
    reward.num_workers = 2
    reward.custom_reward_function = given
    model = {"path": str(folder), "tokenizer_path": str(folder)}
    return omegaconf.OmegaConf.create({"reward": reward, "actor_rollout_ref": {"model": model}})


@pytest.fixture(scope="module")
def loop(config: Any) -> Iterator[Any]:
    """veRL's reward loop, with its workers on a Ray of this machine."""
    ray = pytest.importorskip("ray")
    from verl.experimental.reward_loop import RewardLoopManager

    ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False)
    yield RewardLoopManager(config)
    ray.shutdown()


def batch(rows: list[tuple[str, str, Any]]) -> Any:
    """A batch as veRL's rollout leaves it: texts of one token, and the data set's columns."""
    import torch
    from verl import DataProto

    ones = torch.ones(len(rows), 1, dtype=torch.long)
    return DataProto.from_dict(
        tensors={
            "prompts": 2 * ones,
            "responses": torch.tensor([[3 + TEXTS.index(text)] for _, text, _ in rows]),
            "attention_mask": torch.cat([ones, ones], dim=1),
        },
        non_tensors={
            "data_source": np.array([source for source, _, _ in rows], dtype=object),
            "reward_model": np.array([{"style": "rule", "ground_truth": truth} for *_, truth in rows], dtype=object),
            "extra_info": np.array([{"index": i, "split": "train"} for i in range(len(rows))], dtype=object),
        },
    )


def test_verl_loads_both_functions_by_their_package(config: Any) -> None:
    omegaconf = pytest.importorskip("omegaconf")
    from verl.trainer.ppo.reward import get_custom_reward_fn

    expected = paid(TASK, TEXTS[1], 5)
    single = omegaconf.OmegaConf.merge(config, {"reward": {"custom_reward_function": {"name": "compute_score"}}})
    assert get_custom_reward_fn(single)(TASK, TEXTS[1], "")["score"] == expected
    assert asyncio.run(get_custom_reward_fn(config)(TASK, TEXTS[1], ""))["score"] == expected


def test_the_reward_loop_of_verl_is_paid_by_verdicts(loop: Any) -> None:
    from verl.trainer.ppo.metric_utils import process_validation_metrics
    from verl.trainer.ppo.reward import extract_reward

    rows = [(f"worldverify/{TASK}", text, {"seed": seed}) for text in TEXTS for seed in SEEDS]
    rows += [("PushCube-v0", TEXTS[1], None), (TASK, TEXTS[1], None)]  # the configuration's seed
    asked = batch(rows)
    scores, said = extract_reward(loop.compute_rm_score(asked))
    expected = [paid(source.split("/")[-1], text, (truth or {"seed": 5})["seed"]) for source, text, truth in rows]
    assert scores.sum(dim=-1).tolist() == pytest.approx(expected, abs=1e-6)
    assert said["status"][:4].tolist() == ["PASS", "PASS", "FAIL", "FAIL"] and set(said["code"][4:6]) == {
        "unknown_skill"
    }
    columns = {key: values.tolist() for key, values in said.items()}
    metrics = process_validation_metrics([TASK] * len(rows), [str(i) for i in range(len(rows))], columns)
    assert metrics[TASK]["acc"]["mean@1"] == pytest.approx(0.2)


def test_what_verl_cannot_have_judged_is_an_error_and_not_a_score(loop: Any) -> None:
    with pytest.raises(Unverified, match="Not judged"):
        loop.compute_rm_score(batch([(TASK, GOOD, {"state": NO_STATE}), (TASK, GOOD, None)]))
    assert loop.compute_rm_score(batch([(TASK, GOOD, None)] * 2)).batch["rm_scores"].tolist() == [[1.0], [1.0]]
