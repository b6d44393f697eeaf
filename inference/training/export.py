"""Writes trained weights as the ONNX file that the crate embeds, and checks it against PyTorch."""

import argparse
import pathlib

import numpy as np
import onnx
import onnxruntime
import torch
from torch import nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from model import STRIDE, PersonGrid


def fused(module):
    """Folds every batch normalization into the convolution before it."""
    for name, child in module.named_children():
        if isinstance(child, nn.Sequential) and len(child) > 1 and isinstance(child[1], nn.BatchNorm2d):
            child[0], child[1] = fuse_conv_bn_eval(child[0], child[1]), nn.Identity()
        else:
            fused(child)
    return module


def mean(states):
    """The mean of weights of one training's later stages, which is better than each (Wortsman et al. 2022)."""
    first = states[0]
    return {
        name: sum(state[name] for state in states) / len(states) if value.dtype.is_floating_point else value
        for name, value in first.items()
    }


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    parser.add_argument("--weights", type=pathlib.Path, required=True, nargs="+", help="of several the mean is exported")
    parser.add_argument("--keep", type=pathlib.Path, help="file for the weights that were exported, to go on from")
    parser.add_argument("--size", default="512x288")
    parser.add_argument("--out", type=pathlib.Path, required=True)
    args = parser.parse_args()
    width, height = map(int, args.size.split("x"))
    network = PersonGrid()
    weights = mean([torch.load(path, map_location="cpu") for path in args.weights])
    network.load_state_dict(weights)
    if args.keep:
        torch.save(weights, args.keep)
    network = fused(network.eval())
    example = torch.rand(1, 3, height, width)
    torch.onnx.export(
        network,
        (example,),
        args.out,
        input_names=["image"],
        output_names=["grid"],
        dynamic_axes={"image": {0: "batch"}, "grid": {0: "batch"}},
        opset_version=17,
        dynamo=False,
    )
    model = onnx.load(args.out)
    del model.metadata_props[:]
    for key, value in {"names": "person", "stride": str(STRIDE), "license": "MIT OR Apache-2.0"}.items():
        model.metadata_props.add(key=key, value=value)
    onnx.checker.check_model(model)
    onnx.save(model, args.out)
    session = onnxruntime.InferenceSession(str(args.out), providers=["CPUExecutionProvider"])
    batch = torch.rand(2, 3, height, width)
    with torch.no_grad():
        difference = np.abs(session.run(None, {"image": batch.numpy()})[0] - network(batch).numpy()).max()
    print(f"{args.out}: {args.out.stat().st_size} bytes, largest difference from PyTorch {difference:.2e}")
    if difference > 1e-2:
        raise SystemExit("the exported model does not do what the trained one does")


if __name__ == "__main__":
    main()
