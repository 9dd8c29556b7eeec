"""How the bench is laid out: three columns side by side, or one at a time where there are few cells."""

LAYOUT = """
BenchScreen {
    #columns { height: 1; }
    #bench { height: 1fr; }
    .column { height: 1fr; }
    #choose { width: 34; }
    #curves { width: 1fr; }
    #inner { width: 34; scrollbar-size-vertical: 1; }
    GroupedList, #about, StartLine, .panel, #welcome {
        border: round $secondary;
        border-title-color: $foreground;
        border-subtitle-color: $secondary;
        padding: 0 1;
        background: $background;
    }
    GroupedList:focus, #about:focus, StartLine:focus, #welcome:focus { border: round $accent; }
    #inner:focus { background: $surface; }
    #find { height: 1; border: none; padding: 0 1; background: $panel; }
    #lists { height: 1fr; layout: vertical; }
    GroupedList { height: 1fr; scrollbar-size-vertical: 1; }
    #about { height: auto; max-height: 9; min-height: 4; scrollbar-size-vertical: 1; }
    StartLine { height: auto; max-height: 9; scrollbar-size-vertical: 1; }
    .panel { height: auto; }
    #preview { max-height: 12; overflow-y: auto; }
    #drawings { height: 1fr; padding: 0 1; scrollbar-size-vertical: 1; }
    #said { height: auto; max-height: 7; scrollbar-size-vertical: 1; }
    #said:focus .panel { border: round $accent; }
    #welcome { height: 1fr; content-align: left middle; padding: 0 3; }
    #curves Chart { height: 1fr; min-height: 7; }
    #fan, #layers { height: 11; }
}
BenchScreen.-narrow {
    #choose, #inner { width: 1fr; }
    #lists { layout: horizontal; }
    GroupedList { width: 1fr; height: 1fr; }
    #about { max-height: 6; }
    StartLine { max-height: 6; }
}
"""
