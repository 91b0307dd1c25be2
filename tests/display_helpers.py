"""Checks of figures."""

# Training stops before max_iter: no ConvergenceWarning.
FEW_EPOCHS = {"max_iter": 3, "tol": 10.0, "n_iter_no_change": 1, "random_state": 0}


def titles(ax):
    return [ax.get_title(loc=loc) for loc in ("left", "center", "right")]


def assert_no_overlap(display):
    """Assert that no panel, with its labels, overlaps another one."""
    display.figure_.draw_without_rendering()
    boxes = [ax.get_tightbbox() for ax in display.axes_]
    for i, box in enumerate(boxes):
        for other in boxes[:i]:
            overlap = type(box).intersection(box, other)
            assert overlap is None or min(overlap.width, overlap.height) < 1
