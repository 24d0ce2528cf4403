"""Builds template decoders from their genotypes (WACV 2020, section 3)."""

from nas_tf.genotype import Genotype
from nas_tf.networks import ops
from nas_tf.networks.blueprint import Layer
from nas_tf.networks.draft import Draft
from nas_tf.networks.heads import Head, decoder_output
from nas_tf.networks.settings import Builder, Settings
from nas_tf.spaces.template import AGGREGATIONS, OPS, Template, TemplateDesign, TemplateSpace


def add_network(draft: Draft, genotype: Genotype, head: Head, settings: Settings) -> None:
    """Adds the stem of the encoder and the decoder."""
    design = TemplateDesign.of(genotype)
    layers = settings.encoder.add(draft, TemplateSpace.taps)
    draft.start_part("decoder", epsilon=1e-5, momentum=0.9)
    for k, block in enumerate(design.blocks, 1):
        first, second = layers[block.left], layers[block.right]
        template = design.templates[block.template]
        for r in range(1, block.repeats + 1):
            instance = _Instance(
                draft,
                name=f"block{k}.repeat{r}",
                stride=block.stride,
                widen=block.stride if r == 1 else 1,
                shrink=k <= design.first_half,
                sep_repeats=settings.sep_repeats,
            )
            first, second = second, instance.add(first, second, template)
        layers.append(second)
    decoder_output(draft, [layers[n] for n in design.loose_blocks], settings.width, head)


BUILDER = Builder(
    add_network=add_network,
    published=Settings(auxiliary="none"),
    search=Settings(width=48, sep_repeats=1, auxiliary="none"),
)


class _Instance:
    """One application of a template to two layers."""

    def __init__(
        self,
        draft: Draft,
        *,
        name: str,
        stride: int,
        widen: int,
        shrink: bool,
        sep_repeats: int,
    ) -> None:
        self.draft, self.name, self.stride = draft, name, stride
        self.widen, self.shrink, self.sep_repeats = widen, shrink, sep_repeats

    def add(self, first: Layer, second: Layer, template: Template) -> Layer:
        """Adds both operations, brings them to one width and size, and joins them."""
        left = self._add_operation(first, template.left_op, "left")
        right = self._add_operation(second, template.right_op, "right")
        width = max(left.channels, right.channels)
        left = self._add_adapter(left, first, "left", width)
        right = self._add_adapter(right, second, "right", width)
        choose = max if self.shrink else min
        target = choose((left, first), (right, second), key=lambda pair: pair[0].stride)
        like = target[1] if target[0].is_global else target[0]
        if AGGREGATIONS[template.aggregation] == "sum":
            return self._add_sum(left, right, like)
        return self._add_concat(left, right, like, width)

    def _add_operation(self, x: Layer, op: int, side: str) -> Layer:
        return ops.apply(
            self.draft,
            OPS[op],
            x,
            f"{self.name}.{side}",
            x.channels * self.widen,
            stride=self.stride,
            sep_repeats=self.sep_repeats,
        )

    def _add_adapter(self, x: Layer, source: Layer, side: str, width: int) -> Layer:
        if x.channels == width:
            return x
        name = f"{self.name}.{side}.adapter"
        x = self.draft.full(x, source, f"{name}.spread")
        return ops.conv_bn_relu(self.draft, x, name, width)

    def _add_sum(self, left: Layer, right: Layer, like: Layer) -> Layer:
        scaled = []
        for x, side in ((left, "left"), (right, "right")):
            if not x.is_global:
                x = self.draft.resize(x, like, f"{self.name}.{side}.resize")
            scaled.append(self.draft.scale(x, f"{self.name}.{side}.scale"))
        total = self.draft.add(*scaled, f"{self.name}.sum")
        return self.draft.full(total, like, f"{self.name}.spread")

    def _add_concat(self, left: Layer, right: Layer, like: Layer, width: int) -> Layer:
        draft, name = self.draft, f"{self.name}.concat"
        left = draft.resize(left, like, f"{self.name}.left.resize")
        right = draft.resize(right, like, f"{self.name}.right.resize")
        x = draft.batch_norm(draft.concat((left, right), name), f"{name}.bn")
        return draft.conv(draft.relu(x, f"{name}.relu"), f"{name}.conv", width)
