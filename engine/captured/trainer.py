"""A trainer whose iterations are launched as graphs: the host counts ahead of the device, and reads what came
of it later."""

from collections import deque
from typing import Any, NamedTuple

import torch

from engine.captured.graphs import Graphs, Landed, Work
from engine.captured.recipe import MOVED, OF_TASKS, RATE, Form, Recipe
from engine.captured.ring import SLOTS
from engine.captured.watching import CannotCaptureError
from engine.learner import Learner
from engine.outer.schedule import outer_rate
from engine.paths import GENERIC
from engine.ranks.alone import Ranks
from engine.training import Trainer


class Awaited(NamedTuple):
    """A row of the ring that is on its way to the host."""

    row: int
    landed: Landed


class CapturedTrainer(Trainer):
    """The same training by graphs, one for each form of an iteration.

    `step` returns before its iteration is computed, and no record: those come in `late`, in their order. An
    iteration that is not sound changes nothing, and those launched after it do not either; once the host sees
    that, `iteration` goes back to the one before, and the next `step` does it as a plain trainer would: it
    raises Diverged, or goes on.
    """

    def __init__(self, learner: Learner, graphs: Graphs, ranks: Ranks | None = None) -> None:
        super().__init__(learner, ranks)
        self.graphs = graphs
        self.recipe = Recipe(self)
        self.replays: dict[Form, Work] = {}
        self.awaited: deque[Awaited] = deque()
        self.rows = 0
        """Rows of the ring that were asked for so far."""
        self._standing = False
        """Whether the device counts from where the host does."""
        self._plain = False
        """Whether the next iteration is one for the plain trainer."""
        self._given_up = False

    def step(self) -> dict[str, Any] | None:
        """One iteration, launched. Raises Diverged, of one that was launched before."""
        if self._plain or self._given_up:
            return self._step_plainly()
        number = self.iteration + 1
        form = self.recipe.form(self.iteration, self.records(number))
        if form not in self.replays and not self._capture(form):
            return self._step_plainly()
        if not self._standing:
            self.recipe.stand(self.iteration)
            self._standing = True
        self.recipe.schedule(self.iteration)
        self.replays[form]()
        self.iteration = number
        if form.recorded:
            self.recipe.ring.fetch(self.rows)
            self.awaited.append(Awaited(self.rows, self.graphs.landed()))
            self.rows += 1
        if self._looked_at(number):
            self.settle()
        else:
            self._collect(len(self.awaited) - SLOTS + 2)
        return self._step_plainly() if self._plain else None

    def settle(self) -> None:
        """Waits for all that was launched. Where an iteration was not sound, `iteration` goes back to before
        it."""
        self._collect(len(self.awaited))
        if self._standing:
            done, halted = torch.stack([self.recipe.done, self.recipe.halted.long()]).tolist()
            if halted:
                self._go_back(done)

    def validate(self) -> dict[str, Any]:
        """As the plain trainer, of what was launched."""
        self.settle()
        return super().validate()

    def state(self) -> dict[str, Any]:
        """As the plain trainer's, of what was launched."""
        self.settle()
        return super().state()

    def load(self, state: dict[str, Any]) -> None:
        """Takes up a checkpoint's state, whatever was launched before."""
        self.settle()
        super().load(state)
        self._standing = self._plain = False

    def _step_plainly(self) -> dict[str, Any] | None:
        # A step that is refused leaves the next one to the plain trainer too.
        self._plain, self._standing = True, False
        record = super().step()
        self._plain = False
        return record

    def _looked_at(self, number: int) -> bool:
        """Whether something reads the parameters after iteration `number`; the first shows that all is
        well."""
        training = self.spec.training
        kept = number % training.checkpoint_every == 0 or number in training.keep
        return (
            kept
            or number in (1, self.iterations)
            or number % training.validation.every == 0
            or self.fits(number)
        )

    def _collect(self, waited_for: int) -> None:
        """Takes in the rows that have come, and the first so many in any case."""
        while self.awaited and (waited_for > 0 or self.awaited[0].landed.query()):
            row, landed = self.awaited.popleft()
            if waited_for > 0:
                landed.synchronize()
            found = self.recipe.ring.read(row)
            if found["halted"]:
                self._go_back(round(found["iteration"]) - 1)
                return
            self.late.append(self._from_row(found))
            waited_for -= 1

    def _go_back(self, iteration: int) -> None:
        """Rows of iterations that changed nothing are nobody's."""
        self.awaited.clear()
        self.iteration, self._plain, self._standing = iteration, True, False

    def _from_row(self, row: dict[str, Any]) -> dict[str, Any]:
        """A `train` event's fields from a row of the ring."""
        step = round(row["iteration"])
        if self.spec.outer.rule == "joint":
            record = {"outer_loss": row["loss"], "joint_metric": row["metric"]}
        else:
            means = {n.removeprefix(OF_TASKS): each for n, each in row.items() if n.startswith(OF_TASKS)}
            moves = {n.removeprefix(MOVED): each for n, each in row.items() if n.startswith(MOVED)}
            record = self.told(row["loss"], means, {n: torch.tensor(each) for n, each in moves.items()})
        learned = {n.removeprefix(RATE): each for n, each in row.items() if n.startswith(RATE)}
        rates = {"outer": outer_rate(self.spec.outer, step - 1, self.iterations), **learned}
        return record | {"step": step, "gradient_norm": row["norm"], "rates": rates}

    def _capture(self, form: Form) -> bool:
        """Records a form's graph, halted, so that nothing is changed by it; whether there is one now."""
        self.settle()
        if self._plain:
            return False
        recipe = self.recipe
        with self.computing:
            recipe.stand(self.iteration)
            recipe.schedule(self.iteration)
            recipe.halted.fill_(1)
            try:
                self.replays[form] = self.graphs.capture(lambda: recipe.iterate(form))
            except torch.OutOfMemoryError:
                self._give_up("the device's memory does not hold a graph besides")
            except (CannotCaptureError, RuntimeError) as error:
                self._give_up(str(error).partition("\n")[0])
            finally:
                # Rows that were written on trial are nobody's; nor is what was observed.
                recipe.ring.written.fill_(self.rows)
                self.rule.norms.forget()
                self._standing = False
        return not self._given_up

    def _give_up(self, reason: str) -> None:
        self._given_up = True
        self.replays.clear()
        self.learner.take(f"{GENERIC}: in no graph: {reason}")
        self.notes.append(f"no graph holds an iteration: {reason}; it goes on without")
