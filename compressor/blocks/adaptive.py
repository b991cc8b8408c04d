"""What lives on from block to block, for the encoder and the decoder alike."""

from __future__ import annotations

from typing import NamedTuple

from llmzip.errors import DamagedError
from llmzip.format.member import Method
from llmzip.mixing.context import ContextCoder
from llmzip.mixing.mixed import MixedCoder
from llmzip.network.model import Model


class _BeforeTrial(NamedTuple):
    """Context mode's models before a block that may be coded otherwise after all."""

    models: ContextCoder | None
    uses: int
    were_spoilt: bool


class AdaptiveModels:
    """What the blocks of a member learn from each other: models of mixed and of context mode, and the end of the last
    block of tokens. An independent block learns within itself.

    Args:
        table_bits: as the member's header says.
        model: None where no block may need one.
        threads: of the network.
        midway: blocks came before that these models know nothing of, so that they must be said to start afresh.
        may_be_wide: the header has context mode's wide profile.
    """

    def __init__(
        self, table_bits: int, model: Model | None, threads: int, midway: bool = False, may_be_wide: bool = True
    ) -> None:
        self.may_be_wide = may_be_wide
        self._table_bits = table_bits
        self._model = model
        self.threads = threads
        self._mixed: MixedCoder | None = None
        self._context: ContextCoder | None = None
        self._text_before = b""
        self._uses = {Method.TOKENS: 0, Method.MIXED: 0, Method.CONTEXT: 0}
        self._spoilt: set[Method] = set()
        self._before_trial: _BeforeTrial | None = None
        self._midway = midway

    def start_afresh(self) -> None:
        """Forget everything; the next use of each method says so."""
        self._mixed, self._context, self._text_before = None, None, b""
        self._spoilt = set(self._uses)

    @property
    def model(self) -> Model:
        """Raises: DamagedError: there is none, but a block needs one."""
        if self._model is None:
            raise DamagedError("a block needs a model, but the file names none")
        return self._model

    def mixed(self, fresh: bool) -> MixedCoder:
        """Mixed mode's models, as they are or ``fresh``.

        Raises:
            DamagedError: they are not to be ``fresh``, but are not known, or there is no model.
        """
        self._note_use(Method.MIXED, fresh)
        if fresh:
            self._mixed = None
        if self._mixed is None:
            self._mixed = MixedCoder(self.model, self._checked_table_bits(), threads=self.threads)
        return self._mixed

    def context(self, fresh: bool) -> ContextCoder:
        """Context mode's models, as they are or ``fresh``."""
        self._note_use(Method.CONTEXT, fresh)
        if fresh:
            self._context = None
        if self._context is None:
            self._context = ContextCoder(self._checked_table_bits())
        return self._context

    def context_on_trial(self, fresh: bool) -> ContextCoder:
        """The same for a block that may be coded otherwise after all."""
        models = None if fresh or self._context is None else self._context.copy()
        self._before_trial = _BeforeTrial(models, self._uses[Method.CONTEXT], self.is_spoilt(Method.CONTEXT))
        return self.context(fresh)

    def text_before(self, fresh: bool) -> bytes:
        """The end of the last block of tokens; none where the network is to start ``fresh``."""
        self._note_use(Method.TOKENS, fresh)
        return b"" if fresh else self._text_before

    def keep_text(self, end: bytes) -> None:
        """Keep the end of a block of tokens for the next."""
        self._text_before = end

    def is_spoilt(self, method: Method) -> bool:
        """Whether a method's models have learned from what a reader will not see through them."""
        return method in self._spoilt

    def is_warm(self, method: Method) -> bool:
        """Whether a method's models know what came before."""
        return self._uses[method] > 0 and method not in self._spoilt

    @property
    def uses(self) -> dict[Method, int]:
        """How often the models of each method were used."""
        return dict(self._uses)

    def spoil_since(self, uses: dict[Method, int], chosen: Method) -> None:
        """Take it that what was coded since then is stored as ``chosen`` says: other methods' uses were in vain."""
        for method, before in uses.items():
            in_vain = self._uses[method] > before and chosen not in (method, Method.TRANSFORMED)
            if in_vain and not (method is Method.CONTEXT and self._take_back_trial(before)):
                self._spoilt.add(method)
        if Method.MIXED in self._spoilt:
            self._mixed = None
        if Method.CONTEXT in self._spoilt:
            self._context = None
        self._before_trial = None

    def _take_back_trial(self, uses: int) -> bool:
        """Put context mode's models back to what they were when they had been used so often, if that is known."""
        trial = self._before_trial
        if trial is None or trial.uses != uses or self._uses[Method.CONTEXT] != uses + 1:
            return False
        self._context, self._uses[Method.CONTEXT], self._before_trial = trial.models, uses, None
        if trial.were_spoilt:
            self._spoilt.add(Method.CONTEXT)
        return True

    def _note_use(self, method: Method, fresh: bool) -> None:
        if self._midway and not self._uses[method] and not fresh:
            raise DamagedError("the index of groups is wrong: models go on from blocks before")
        self._uses[method] += 1
        self._spoilt.discard(method)

    def _checked_table_bits(self) -> int:
        if not self._table_bits:
            raise DamagedError("a block needs tables, but the file names no size for them")
        return self._table_bits
