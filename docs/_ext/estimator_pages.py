"""Group the parameters of the two estimators, and shorten their signatures."""

import inspect
from typing import Any

from docutils import nodes
from sphinx import addnodes
from sphinx.application import Sphinx

GROUPS = {
    "Architecture": "hidden_layer_sizes cell activation reset_after bidirectional pooling "
    "return_sequences embedding_dim",
    "What X is": "n_channels missing time_channel categorical_channels",
    "Loss and regularization": "loss quantiles huber_delta class_weight alpha dropout "
    "recurrent_dropout",
    "Training": "solver batch_size bptt_steps update_every learning_rate learning_rate_init "
    "warmup_updates power_t max_grad_norm momentum nesterovs_momentum beta_1 beta_2 epsilon "
    "shuffle random_state warm_start",
    "Stopping and validation": "max_iter max_fun tol n_iter_no_change early_stopping "
    "validation_fraction validation_split scoring",
    "Speed and output": "n_jobs dtype verbose",
}
ESTIMATORS = ("skgru.GRUClassifier", "skgru.GRURegressor")
SHORT = 10  # a signature with more parameters than this is cut


def shorten(app: Sphinx, what: str, name: str, obj: Any, options: Any, *signature: Any) -> Any:
    """Show the first parameter only, where all of them would fill a screen."""
    if what != "class":
        return None
    parameters = list(inspect.signature(obj).parameters.values())
    if len(parameters) <= SHORT:
        return None
    return f"({parameters[0]}, **parameters)", None


def group(app: Sphinx, doctree: nodes.document) -> None:
    """Put a heading above each group of parameters; every parameter must be in one."""
    for description in doctree.findall(addnodes.desc):
        if not set(ESTIMATORS) & set(description[0]["ids"]):
            continue
        fields = next(child for child in description[-1] if isinstance(child, nodes.field_list))
        body = next(field[1] for field in fields if field[0].astext() == "Parameters")
        items = {
            next(iter(item[0].findall(nodes.strong))).astext(): item
            for item in body[0]
            if isinstance(item, nodes.definition_list_item)
        }
        body.clear()
        for title, names in GROUPS.items():
            members = [items.pop(name) for name in names.split() if name in items]
            body += nodes.rubric("", title, classes=["parameter-group"])
            body += nodes.definition_list("", *members)
        if items:
            raise ValueError(f"docs/_ext/estimator_pages.py has no group for {sorted(items)}")


def setup(app: Sphinx) -> dict[str, bool]:
    """Register with Sphinx."""
    app.connect("autodoc-process-signature", shorten)
    app.connect("doctree-read", group, priority=200)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
