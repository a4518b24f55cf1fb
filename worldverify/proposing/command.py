"""The command propose: texts of a model into a plans file, each on disk as soon as it is here."""

import argparse
import shlex
import sys
from collections import Counter
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

from worldverify.options import number, whole
from worldverify.proposing.growing import GrowingFile
from worldverify.usage import UsageError, cannot_read, import_fault

if TYPE_CHECKING:
    from worldverify.proposing.propose import Proposal
    from worldverify.task import Task

# What loads the simulator or the network is imported when the command runs: --help is instant.

DONE, NOT_ALL = 0, 1  # exit status

# Spellings of an option that does not exist, because other users of the machine can read a command line.
KEY_OPTIONS = ("--api-key", "--api_key", "--apikey", "--key", "--token")


def add_propose(commands: Any) -> None:
    """The command and its options."""
    what = "ask a model for plans, through any server with the OpenAI chat-completions protocol"
    propose: argparse.ArgumentParser = commands.add_parser(
        "propose",
        help=what,
        description=f"{what[0].upper()}{what[1:]}: the task's prompt and camera image go out, the raw texts come back "
        "as a plans file. The key, if the server wants one, is read from the environment variable WORLDVERIFY_API_KEY, "
        "else from OPENAI_API_KEY; it is neither stored nor shown.",
        epilog="Exit status: 0 all texts came, 1 the server gave fewer, 2 wrong usage.",
        allow_abbrev=False,
    )
    propose.set_defaults(run=run_propose)
    propose.add_argument(
        "task", metavar="TASK", help="name of a task (worldverify tasks lists them), or FILE.py:FUNCTION"
    )
    propose.add_argument(
        "--endpoint",
        metavar="URL",
        help="of the server, such as http://localhost:8000/v1; /v1 and /chat/completions may be left out",
    )
    propose.add_argument(
        "--scripted", action="store_true", help="without a model: good, clumsy and wrong plans from a script, by --seed"
    )
    propose.add_argument("-n", type=whole(1), default=1, metavar="N", help="texts to ask for (%(default)s)")
    propose.add_argument(
        "--json", metavar="PLANS.jsonl", default="-", help="file for the texts, a line each; - is the standard output"
    )
    propose.add_argument("--append", action="store_true", help="add to the file, and go on with its numbers")
    propose.add_argument("--model", metavar="NAME", help="which model (default: the server's, if it has one only)")
    propose.add_argument("--seed", type=whole(0), default=0, help="which start of the task (%(default)s)")
    propose.add_argument(
        "--image",
        action=argparse.BooleanOptionalAction,
        help="send the picture of the task's camera (default: if it has one)",
    )
    propose.add_argument("--system", metavar="FILE", help="a text that goes before the prompt, as the system's message")
    propose.add_argument("--format", metavar="NAME", help="declare the format of the texts in the plans file")
    drawing = propose.add_argument_group("how the texts are drawn (default: as the server likes)")
    drawing.add_argument("--temperature", type=number(0), metavar="X", help="0 for the likeliest text")
    drawing.add_argument("--top-p", type=number(0, 1), metavar="X", help="share of the probability that is drawn from")
    drawing.add_argument("--max-tokens", type=whole(1), metavar="N", help="the longest text")
    drawing.add_argument(
        "--sampling-seed", type=whole(0), metavar="N", help="of text 0; a request from text I on sends N + I"
    )
    patience = propose.add_argument_group("how the server is asked")
    patience.add_argument("--timeout", type=number(0), default=600.0, metavar="S", help="s for a request (%(default)g)")
    patience.add_argument(
        "--retries", type=whole(0, 100), default=4, metavar="N", help="of a request that failed (%(default)s)"
    )
    patience.add_argument(
        "--concurrency",
        type=whole(1, 256),
        default=4,
        metavar="N",
        help="requests at once, if the server gives one text a request (%(default)s)",
    )
    propose.add_argument(*KEY_OPTIONS, action=_NoKey, nargs="?", help=argparse.SUPPRESS)


def run_propose(arguments: argparse.Namespace) -> int:
    """Ask, write and tell; the exit status."""
    if (fault := import_fault()) is not None:
        raise UsageError(fault)
    if arguments.scripted == (arguments.endpoint is not None):
        raise UsageError("propose asks a model (--endpoint URL) or a script (--scripted): give one of the two.")
    if arguments.scripted:
        return _write_scripted(arguments)
    from worldverify.progress import Progress
    from worldverify.proposing.endpoint import Endpoint, EndpointError, key_from
    from worldverify.proposing.propose import Sampling, propose

    came: list[Proposal] = []
    with GrowingFile(arguments.json, append=arguments.append) as file:
        try:
            task = _task(arguments.task)
            first = file.next_number(f"{task.name}/{arguments.seed}/")
            proposals = propose(
                task,
                Endpoint(arguments.endpoint, key_from(), timeout_s=arguments.timeout, retries=arguments.retries),
                arguments.n,
                model=arguments.model,
                sampling=Sampling(
                    temperature=arguments.temperature,
                    top_p=arguments.top_p,
                    max_tokens=arguments.max_tokens,
                    seed=arguments.sampling_seed,
                ),
                seed=arguments.seed,
                first=first,
                system=None if arguments.system is None else _text_of(arguments.system),
                image=arguments.image,
                format=arguments.format,
                concurrency=arguments.concurrency,
                told=_tell,
            )
        except ValueError as error:
            raise UsageError(str(error)) from None
        except EndpointError as error:
            _tell(f"worldverify: {error}")
            return NOT_ALL
        trouble: EndpointError | None = None
        try:
            with closing(proposals), Progress("Asking") as progress:
                for proposal in proposals:
                    came.append(proposal)
                    file.add(proposal.to_line())
                    progress(len(came), arguments.n)
        except EndpointError as error:
            trouble = error
        except KeyboardInterrupt:
            _tell(_interrupted(len(came), arguments.n, file))
            raise
    told = sys.stderr if file.spilt or arguments.json == "-" else sys.stdout
    if came:
        print(_summary(came, arguments, file), file=told)
    if trouble is not None:
        _tell(f"worldverify: {trouble}")
    if file.spilt:
        raise UsageError("Not everything was written: see above.")
    return DONE if trouble is None else NOT_ALL


def _write_scripted(arguments: argparse.Namespace) -> int:
    """Plans of a script, in place of a model's."""
    from worldverify.proposing.scripted import KINDS, propose_scripted

    formats = None if arguments.format is None else [arguments.format]
    with GrowingFile(arguments.json, append=arguments.append) as file:
        try:
            task = _task(arguments.task)
            first = file.next_number(*(f"{task.name}/scripted/{kind}/" for kind in KINDS))
            lines = propose_scripted(task, arguments.n, seed=arguments.seed, first=first, formats=formats)
        except ValueError as error:
            raise UsageError(str(error)) from None
        for line in lines:
            file.add(line)
    if arguments.json != "-":
        _tell(f"{arguments.n} plans of the script are in {arguments.json}.")
    return DONE


class _NoKey(argparse.Action):
    """Refuses a key on the command line, without repeating it."""

    def __call__(
        self,
        parser: argparse.ArgumentParser,
        namespace: argparse.Namespace,
        values: str | Sequence[Any] | None,
        option_string: str | None = None,
    ) -> None:
        parser.error(
            "a key is not given on the command line, where others can read it: set the environment variable "
            "WORLDVERIFY_API_KEY"
        )


def _task(name: str) -> "Task":
    from worldverify.registry import load_named

    return load_named(name)


def _text_of(path: str) -> str:
    try:
        return Path(path).read_text(encoding="utf-8-sig")
    except OSError as error:
        raise cannot_read(path, error) from None
    except UnicodeDecodeError:
        raise UsageError(f"{path} is not UTF-8: save the system's message as UTF-8.") from None


def _tell(sentence: str) -> None:
    from worldverify.table import printable

    print(printable(sentence), file=sys.stderr, flush=True)


def _interrupted(came: int, wanted: int, file: GrowingFile) -> str:
    if file.path == "-":
        return f"{came} of {wanted} texts came."
    if not came:
        return "No text had come."
    return f"{came} of {wanted} texts are in {file.path}; ask for the others with -n {wanted - came} --append."


def _summary(came: "Sequence[Proposal]", arguments: argparse.Namespace, file: GrowingFile) -> str:
    """What came, how it ended, what it took and what to do next."""
    from worldverify.table import printable

    where = "" if file.path == "-" else f" in {file.path}"
    different = f", {len({proposal.text for proposal in came})} different" if len(came) > 1 else ""
    lines = [f"{_counted(len(came), 'text')} of {came[0].model}{where}{different}."]
    empty = sum(not proposal.text for proposal in came)
    if empty:
        beside = sorted({name for proposal in came if not proposal.text for name in proposal.message})
        lines.append(f"{empty} empty" + (f" (the model wrote {', '.join(beside)} instead)." if beside else "."))
    ends = Counter(proposal.finish_reason for proposal in came)
    if ends["length"]:
        lines.append(f"{ends['length']} cut off by the limit of tokens: raise --max-tokens.")
    if tokens := _tokens(came):
        lines.append(tokens)
    if file.path != "-" and not file.spilt:
        seed = f" --seed {arguments.seed}" if arguments.seed else ""
        lines.append(f"To judge them: worldverify verify {arguments.task} {shlex.quote(file.path)}{seed}")
    return "\n".join(printable(line) for line in lines)


def _tokens(came: "Sequence[Proposal]") -> str:
    """The tokens of all requests, each counted once though several texts share it; "" if a server did not say."""
    answers = {id(proposal.usage): proposal.usage for proposal in came if proposal.usage}.values()
    if not answers:
        return ""
    read, written = (sum(usage.get(name, 0) for usage in answers) for name in ("prompt_tokens", "completion_tokens"))
    return f"{_counted(len(answers), 'request')}: {read:,} tokens read, {written:,} written."


def _counted(count: int, noun: str) -> str:
    return f"{count} {noun}{'' if count == 1 else 's'}"
