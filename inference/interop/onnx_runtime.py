"""A runtime of MLServer that serves an ONNX file by ONNX Runtime, for tests: the file's own inputs and outputs as metadata."""

import onnxruntime
from mlserver import MLModel
from mlserver.codecs import NumpyCodec
from mlserver.types import InferenceResponse, MetadataModelResponse, MetadataTensor

DATATYPES = {
    "tensor(float)": "FP32",
    "tensor(float16)": "FP16",
    "tensor(uint8)": "UINT8",
    "tensor(int32)": "INT32",
    "tensor(int64)": "INT64",
}


def described(tensors):
    """Sizes that the file leaves open are -1."""
    return [
        MetadataTensor(
            name=tensor.name,
            datatype=DATATYPES[tensor.type],
            shape=[side if isinstance(side, int) else -1 for side in tensor.shape],
        )
        for tensor in tensors
    ]


class OnnxModel(MLModel):
    async def load(self) -> bool:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        path = self.settings.parameters.uri
        self._session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
        return True

    async def metadata(self) -> MetadataModelResponse:
        return MetadataModelResponse(
            name=self.name,
            platform="onnx",
            versions=[],
            inputs=described(self._session.get_inputs()),
            outputs=described(self._session.get_outputs()),
        )

    async def predict(self, payload):
        feeds = {tensor.name: NumpyCodec.decode_input(tensor) for tensor in payload.inputs}
        names = [output.name for output in payload.outputs or []] or [o.name for o in self._session.get_outputs()]
        values = self._session.run(names, feeds)
        outputs = [NumpyCodec.encode_output(name, value) for name, value in zip(names, values)]
        return InferenceResponse(model_name=self.name, outputs=outputs)
