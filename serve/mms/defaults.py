"""What stands for the functions that a user's code leaves out, as in AWS's PyTorch containers.

Source: sagemaker-pytorch-inference-toolkit, default_pytorch_inference_handler.py. Loads torch.
"""

from pathlib import Path
from typing import Any

import torch
from sagemaker_inference import content_types, decoder, encoder, errors, utils
from sagemaker_inference.default_inference_handler import DefaultInferenceHandler

FILES = ("model.pt", "model.pth")


def use_threads(count: int) -> None:
    """Give torch that many cores of this process."""
    torch.set_num_threads(count)


# Any: what the user's own functions give and take.
class TorchDefaults(DefaultInferenceHandler):  # type: ignore[misc]  # the library has no types
    """model_fn, input_fn, predict_fn and output_fn on torch."""

    @property
    def device(self) -> torch.device:
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")

    def default_model_fn(self, model_dir: str) -> torch.nn.Module:
        """A TorchScript model. Files of torch.save hold no network: they need a model_fn."""
        found = [Path(model_dir) / name for name in FILES if (Path(model_dir) / name).is_file()]
        if not found:
            raise FileNotFoundError(
                f"there is no model_fn, and '{model_dir}' holds none of {', '.join(FILES)}"
            )
        try:
            load: Any = torch.jit.load
            model = load(str(found[0]), self.device)
        except RuntimeError as error:
            raise ValueError(
                f"there is no model_fn, and '{found[0].name}' is no TorchScript; write a model_fn"
            ) from error
        network: torch.nn.Module = model.eval()
        return network

    def default_input_fn(self, input_data: Any, content_type: str) -> torch.Tensor:
        """JSON, CSV and npy to a tensor on the device."""
        array = decoder.decode(input_data, content_type)
        if content_type in content_types.UTF8_TYPES:
            return torch.FloatTensor(array).to(self.device)
        return torch.from_numpy(array).to(self.device)

    def default_predict_fn(self, data: Any, model: Any) -> Any:
        """The model's answer, without gradients."""
        with torch.no_grad():
            model = model.to(self.device).eval()
            return model(data.to(self.device))

    def default_output_fn(self, prediction: Any, accept: str) -> Any:
        """JSON, CSV or npy. Raises UnsupportedFormatError for other types."""
        if isinstance(prediction, torch.Tensor):
            prediction = prediction.detach().cpu().numpy().tolist()
        for content_type in utils.parse_accept(accept):
            if content_type in encoder.SUPPORTED_CONTENT_TYPES:
                return encoder.encode(prediction, content_type)
        raise errors.UnsupportedFormatError(accept)
