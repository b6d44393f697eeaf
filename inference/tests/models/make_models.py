"""Makes the tiny networks that tests/it loads. Needs the Python package `onnx`; run by hand, output committed.

    python3 make_models.py

Each is a person grid of 16x8 pixels (2x1 cells) whose output can be computed by hand: the score of a cell is the mean red of
its 8x8 pixels, the box reaches half a cell to each side, that is: exactly over the cell.
"""

from pathlib import Path

import numpy as np
from onnx import TensorProto, checker, helper, numpy_helper, save

HERE = Path(__file__).parent
FLOAT = TensorProto.FLOAT


def model(name, batch, score_gain=1.0, height=8, extra_nodes=(), input_type=FLOAT, output="grid"):
    weights = np.zeros((5, 3, 8, 8), np.float32)
    weights[0, 0] = score_gain / 64
    bias = np.array([0, 0.5, 0.5, 0.5, 0.5], np.float32)
    nodes = [helper.make_node("Conv", ["image", "weights", "bias"], ["grid"], strides=[8, 8], kernel_shape=[8, 8])]
    nodes += extra_nodes
    graph = helper.make_graph(
        nodes,
        name,
        [helper.make_tensor_value_info("image", input_type, [batch, 3, height, 16])],
        [helper.make_tensor_value_info(output, FLOAT, [batch, 5, height // 8, 2])],
        [numpy_helper.from_array(weights, "weights"), numpy_helper.from_array(bias, "bias")],
    )
    onnx_model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], producer_name="make_models.py")
    onnx_model.ir_version = 8
    checker.check_model(onnx_model)
    save(onnx_model, HERE / f"{name}.onnx")


model("grid-any-batch", "N")
model("grid-batch-1", 1)
model("grid-batch-3", 3)
# Scores up to 4: a head whose sigmoid was forgotten.
model("grid-no-sigmoid", "N", score_gain=4.0)
# A square root of a negative number for every grey frame.
model(
    "grid-not-finite",
    "N",
    extra_nodes=[helper.make_node("Neg", ["grid"], ["negative"]), helper.make_node("Sqrt", ["negative"], ["roots"])],
    output="roots",
)
