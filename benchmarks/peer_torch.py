"""The official supernet, re-created in PyTorch, as a server of timings.

Our own writing of the structure in the paper's appendix and in
docs/design.md; run by a Python that has torch, never imported. It reads one
JSON request a line, {"what": "step" | "score", "pixels", "batch", "path"}, and
answers {"seconds"}; so that both sides take turns and one waits while the
other works.

At its best, as far as we could make it: channels_last (on 2 CPU threads 1.3
times as fast a step at 224 px, 2.0 times at 32 px, 2.9 times in scoring at 32
px as its default layout), gradients set to None, so that weights off the path
cost nothing, in-place ReLU, inference_mode for scoring. torch.compile would
compile every path anew.
"""

import json
import sys
import time

import torch
import torch.nn.functional as F
from torch import nn

STAGES = ((4, 64), (4, 160), (8, 320), (4, 640))


def _norm(channels: int) -> nn.Module:
    return nn.BatchNorm2d(channels, affine=False)


def _depthwise(channels: int, size: int, stride: int) -> list[nn.Module]:
    convolution = nn.Conv2d(
        channels,
        channels,
        size,
        stride,
        size // 2,
        groups=channels,
        bias=False,
    )
    return [convolution, _norm(channels)]


def _pointwise(inputs: int, outputs: int) -> list[nn.Module]:
    convolution = nn.Conv2d(inputs, outputs, 1, bias=False)
    return [convolution, _norm(outputs), nn.ReLU(inplace=True)]


class Block(nn.Module):
    """One option: 3x3, 5x5, 7x7 (op 0 to 2) or xception (3)."""

    def __init__(self, op: int, inputs: int, outputs: int, stride: int):
        super().__init__()
        entering = inputs if stride == 2 else inputs // 2
        leaving = outputs - entering
        middle = outputs // 2
        size = (3, 5, 7, 3)[op]
        if op < 3:
            layers = [
                *_pointwise(entering, middle),
                *_depthwise(middle, size, stride),
                *_pointwise(middle, leaving),
            ]
        else:
            layers = [
                *_depthwise(entering, 3, stride),
                *_pointwise(entering, middle),
                *_depthwise(middle, 3, 1),
                *_pointwise(middle, middle),
                *_depthwise(middle, 3, 1),
                *_pointwise(middle, leaving),
            ]
        self.main = nn.Sequential(*layers)
        self.projection = None
        if stride == 2:
            self.projection = nn.Sequential(
                *_depthwise(inputs, size, 2), *_pointwise(inputs, inputs)
            )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Joins what passes and what is worked on."""
        if self.projection is not None:
            return torch.cat([self.projection(x), self.main(x)], 1)
        # The official channel shuffle: even channels pass.
        batch, channels, height, width = x.shape
        pairs = x.reshape(batch * channels // 2, 2, height * width)
        pairs = pairs.permute(1, 0, 2)
        even, odd = pairs.reshape(2, -1, channels // 2, height, width)
        return torch.cat([even, self.main(odd)], 1)


class Supernet(nn.Module):
    """20 slots of 4 options."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Sequential(
            nn.Conv2d(3, 16, 3, 2, 1, bias=False),
            _norm(16),
            nn.ReLU(inplace=True),
        )
        self.slots = nn.ModuleList()
        channels = 16
        for repeats, width in STAGES:
            for index in range(repeats):
                stride = 2 if index == 0 else 1
                self.slots.append(
                    nn.ModuleList(
                        Block(op, channels, width, stride) for op in range(4)
                    )
                )
                channels = width
        self.last = nn.Sequential(*_pointwise(channels, 1024))
        self.classifier = nn.Linear(1024, 1000, bias=False)

    def forward(self, x: torch.Tensor, path: list[int]) -> torch.Tensor:
        """Logits of one path."""
        x = self.stem(x)
        for slot, option in zip(self.slots, path, strict=True):
            x = slot[option](x)
        x = self.last(x).mean((2, 3))
        x = F.dropout(x, 0.1, self.training)
        return self.classifier(x)


class Peer:
    """A supernet in channels_last with its optimizer and its images."""

    def __init__(self) -> None:
        torch.manual_seed(0)
        self.net = Supernet().to(memory_format=torch.channels_last)
        self.optimizer = torch.optim.SGD(
            self.net.parameters(), 1e-3, momentum=0.9, weight_decay=4e-5
        )
        self.batches: dict[tuple[int, int], tuple] = {}

    def _batch(self, pixels: int, size: int):
        if (pixels, size) not in self.batches:
            images = torch.rand(size, 3, pixels, pixels) * 255
            self.batches[pixels, size] = (
                images.contiguous(memory_format=torch.channels_last),
                torch.randint(0, 1000, (size,)),
            )
        return self.batches[pixels, size]

    def step(self, pixels: int, size: int, path: list[int]) -> None:
        """Forward, backward, update of what has a gradient."""
        images, labels = self._batch(pixels, size)
        self.net.train()
        self.optimizer.zero_grad(set_to_none=True)
        logits = self.net(images, path)
        loss = F.cross_entropy(logits, labels, label_smoothing=0.1)
        loss.backward()
        self.optimizer.step()
        loss.item()

    def score(self, pixels: int, size: int, path: list[int]) -> None:
        """Inference and the count of hits."""
        images, labels = self._batch(pixels, size)
        self.net.eval()
        with torch.inference_mode():
            hits = self.net(images, path).argmax(1) == labels
            hits.sum().item()


def main() -> None:
    """Answers requests until the input ends."""
    torch.set_num_threads(int(sys.argv[1]))
    peer = Peer()
    for line in sys.stdin:
        request = json.loads(line)
        run = {"step": peer.step, "score": peer.score}[request["what"]]
        start = time.perf_counter()
        run(request["pixels"], request["batch"], request["path"])
        seconds = time.perf_counter() - start
        print(json.dumps({"seconds": seconds}), flush=True)


if __name__ == "__main__":
    main()
