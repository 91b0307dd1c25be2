"""C statements that turn the outputs of a network into probabilities and numbers."""

from skgru.interop.c_text import for_, string
from skgru.outputs import Labels, Multilabel, Numbers, Outputs, Quantiles

_CLASS = """\
/* Index of the most probable class. */
static inline int @class(const float out[@outputs])
{
    int i, best = 0;
    for (i = 1; i < @outputs; i++)
        if (out[i] > out[best])
            best = i;
    return best;
}

/* Name of a class, in UTF-8. */
static inline const char *@label(int class_index)
{
    static const char *const labels[@outputs] = {
%s
    };
    return labels[class_index];
}
"""
_SOFTMAX = """\
float highest = y[0], total = 0.0f;
for (j = 1; j < {n}; j++)
    highest = y[j] > highest ? y[j] : highest;
for (j = 0; j < {n}; j++) {{
    out[j] = expf(y[j] - highest);
    total += out[j];
}}
for (j = 0; j < {n}; j++)
    out[j] /= total;"""
_SORT = """\
/* the quantiles of each target, in increasing order */
for (i = 0; i < {n}; i += {n_quantiles})
    for (j = 1; j < {n_quantiles}; j++) {{
        const float moved = y[i + j];
        int to = i + j;
        for (; to > i && y[to - 1] > moved; to--)
            y[to] = y[to - 1];
        y[to] = moved;
    }}"""


# C statement of each inverse link
_INVERSE_LINKS = {"identity": "out[j] = y[j];", "exp": "out[j] = expf(y[j]);"}


def prediction_statements(outputs: Outputs) -> tuple[int, list[str], list[str]]:
    """Return the number of predictions, the statements that compute them, and other functions."""
    match outputs:
        case Labels(classes):
            names = _CLASS % ",\n".join(f"        {string(label)}" for label in classes)
            n = len(classes)
            if outputs.n_outputs == 1:
                probabilities = [
                    "out[0] = 1.0f / (1.0f + expf(y[0]));",
                    "out[1] = 1.0f / (1.0f + expf(-y[0]));",
                ]
                return n, probabilities, [names]
            return n, _SOFTMAX.format(n=n).split("\n"), [names]
        case Multilabel(n_labels):
            return n_labels, for_(n_labels, "out[j] = 1.0f / (1.0f + expf(-y[j]));"), []
        case Numbers(n_targets):
            return n_targets, for_(n_targets, _INVERSE_LINKS[outputs.loss.inverse_link]), []
        case Quantiles(_, quantiles):
            return outputs.n_outputs, _sorted_quantiles(outputs, len(quantiles)), []
    raise NotImplementedError(f"outputs of the kind {outputs.kind!r} have no form in C.")


def _sorted_quantiles(outputs: Quantiles, n_quantiles: int) -> list[str]:
    lines = _SORT.format(n=outputs.n_outputs, n_quantiles=n_quantiles).split("\n")
    return lines + [
        f"out[{first + i}] = y[{first + outputs.ranks[i]}];"
        for first in range(0, outputs.n_outputs, n_quantiles)
        for i in range(n_quantiles)
    ]
