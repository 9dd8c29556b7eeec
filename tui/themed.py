"""An app in the workbench's colour themes: the chosen one is remembered, and marks can be read in each."""

from collections.abc import Callable
from functools import partial
from typing import Generic

from textual import work
from textual.app import App, ReturnType

from tui.marks import stand_on
from tui.remembered import remember_theme, remembered_theme
from tui.screens.base import PlaceScreen
from tui.themes import DEFAULT_THEME, THEMES, grounds
from tui.threads import Turns


class Themed(App[ReturnType], Generic[ReturnType]):
    """The app's part that has themes."""

    def take_up_themes(self) -> None:
        """Knows the workbench's themes from now on, and stands in the one that was chosen last."""
        for theme in THEMES:
            self.register_theme(theme)
        self._keeping = Turns()
        self.theme = self._theme_kept = remembered_theme(self.available_themes) or DEFAULT_THEME
        stand_on(grounds(self.current_theme))

    def watch_theme(self) -> None:
        """Marks are such as can be read in the theme; what was drawn with others is drawn anew."""
        stand_on(grounds(self.current_theme))
        for screen in self.screen_stack if self.is_running else ():
            if isinstance(screen, PlaceScreen):
                screen.refresh_picture()
        if self.is_running and self.theme != self._theme_kept:
            self._theme_kept = self.theme
            self._keep_theme(self._keeping.after_others(partial(remember_theme, self.theme)))

    @work(thread=True, group="theme")
    def _keep_theme(self, keep: Callable[[], None]) -> None:
        keep()
