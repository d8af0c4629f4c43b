"""The commands of `slipway`: what each is for, and which module is that command."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Command:
    """module: run as `python -m MODULE`. words: put before what the user typed.

    program: the parser's own name in that module. typed: what its help shows in that place.
    """

    text: str
    module: str
    words: tuple[str, ...] = ()
    program: str = ""
    typed: str = ""


def _module(name: str, text: str) -> Command:
    """A package of the checkout under its own name."""
    package = name.replace("-", "_")
    return Command(text, package, program=package, typed=f"slipway {name}")


def _own(name: str, text: str, module: str) -> Command:
    """A command that this package adds."""
    return Command(text, f"slipway.{module}", program=name, typed=f"slipway {name}")


def _launch(name: str, text: str) -> Command:
    """A short name of a command of `launch`."""
    return Command(text, "launch", (name,), program="launch", typed="slipway")


# By heading, in the order in which a project needs them
GROUPS: dict[str, dict[str, Command]] = {
    "A project of your own, in its folder": {
        "init": _own("init", "write a project folder: a recipe, a README", "init"),
        "prepare": _own("prepare", "photos to verified RGB, a split, a report", "preparing"),
        "train": _own("train", "learn the project's photos by its recipe, here", "training"),
        "serve": _own("serve", "answer requests with the trained model, here", "serving"),
        "web": _own("web", "the same with a page for people", "web"),
        "tune": _module("tune", "search for better hyperparameters, here"),
        "diagnose": _module("diagnose", "SageMaker Debugger's rules over a training"),
        "index": _own("index", "out/index.html, the page over all results, anew", "listing"),
        "compare": _own("compare", "trainings beside each other, photo by photo", "compare"),
    },
    "On AWS": {
        "push": _own("push", "build the images and push them to ECR", "push"),
        "check": _launch("check", "what could fail later, before it costs anything"),
        "cost": _launch("cost", "what the recipe's steps may cost"),
        "deploy": _launch("deploy", "make or update the endpoint"),
        "invoke": _launch("invoke", "ask the endpoint for photos"),
        "status": _launch("status", "what was started, and how it is"),
        "delete": _launch("delete", "remove everything, so that it costs nothing"),
        "launch": _module("launch", "all steps: `slipway launch --help` lists them"),
    },
    "This machine": {
        "doctor": _own("doctor", "what is missing here, and the command that fixes it", "doctor"),
        "local-sagemaker": _module("local-sagemaker", "SageMaker's own API on this machine"),
        "conformance": _module("conformance", "any image against SageMaker's contract"),
        "schema": Command(
            "the JSON Schema of a recipe",
            "recipes.schema",
            program="schema",
            typed="slipway schema",
        ),
        "completion": _own("completion", "completion for bash, zsh or fish", "completion"),
    },
}
COMMANDS: dict[str, Command] = {}
for _group in GROUPS.values():
    COMMANDS |= _group
