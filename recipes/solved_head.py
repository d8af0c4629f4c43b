"""Settings with which `optimizer: lbfgs` cannot solve the head, known before anything is loaded."""

from recipes.errors import RecipeError
from recipes.hyperparameters import Hyperparameters
from recipes.networks import outline_of


def obstacle(hp: Hyperparameters, head: str, observed: bool) -> str:
    """Why the head cannot be solved, as the end of a sentence; "" where the settings allow it.

    head: the dotted name of the network's head. observed: a hook or a profile watches steps.
    """
    if hp.trainable not in ("head", head):
        return "needs a frozen backbone; set trainable=head"
    if hp.head:
        return "solves one linear layer; leave the hyperparameter head empty"
    if hp.label_smoothing:
        return "does not smooth labels; leave label_smoothing out, or set optimizer=adamw"
    if observed:
        return "takes no steps to observe; leave debug and profile out, or set optimizer=adamw"
    return ""


def refused(obstacle: str) -> str:
    """The sentence for lbfgs that was asked for and cannot be had."""
    return f"hyperparameter optimizer=lbfgs {obstacle}"


def check_solvable(hp: Hyperparameters) -> None:
    """RecipeError where lbfgs is asked for, and another setting rules it out."""
    if hp.optimizer != "lbfgs":
        return
    outline = outline_of(hp.model)
    head = outline.head if outline else hp.trainable  # which may be an unknown model's head
    if hp.trainable == "all":
        head = "head"
    found = obstacle(hp, head, hp.debug or hp.profile or bool(hp.profile_steps))
    if found:
        raise RecipeError(refused(found))
