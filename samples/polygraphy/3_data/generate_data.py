"""Real data for Polygraphy: a photo, decoded, resized and normalised, and what PyTorch makes of it.

`load_data` is what --data-loader-script calls. Run as a program, this file writes the same inputs to
custom_inputs.json, for --load-inputs, and PyTorch's outputs for them to torch_outputs.json, for --load-outputs.
"""

from collections.abc import Iterator

import matplotlib.cbook
import numpy as np
import torch
from model import make_model
from PIL import Image
from polygraphy.comparator import RunResults
from polygraphy.json import save_json
from torchvision.models import ResNet18_Weights


def load_photo() -> np.ndarray:
    """The photo that matplotlib ships, as the model wants it: 1 x 3 x 224 x 224, float32, normalised."""
    with matplotlib.cbook.get_sample_data("grace_hopper.jpg") as file:
        photo = Image.open(file).convert("RGB")
    return ResNet18_Weights.IMAGENET1K_V1.transforms()(photo).unsqueeze(0).numpy()


def load_data() -> Iterator[dict[str, np.ndarray]]:
    """One set of inputs after another: the photo, and its mirror image."""
    photo = load_photo()
    yield {"x": photo}
    yield {"x": np.ascontiguousarray(photo[..., ::-1])}


def main() -> None:
    """Write custom_inputs.json and torch_outputs.json."""
    model, _ = make_model()
    inputs = list(load_data())
    save_json(inputs, "custom_inputs.json", description="custom inputs")
    with torch.no_grad():
        outputs = [{"output": model(torch.from_numpy(feed["x"])).numpy()} for feed in inputs]
    results = RunResults()
    results.add(outputs, runner_name="PyTorch")
    results.save("torch_outputs.json")
    print(f"wrote {len(inputs)} inputs and outputs")


if __name__ == "__main__":
    main()
