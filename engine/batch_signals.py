"""Signals that must not end a worker from its first import on: a terminal's hang-up, and the warning that a
batch system gives before its time limit. What they mean once a run is under way, `engine.stopping` says."""

import signal

signal.signal(signal.SIGHUP, signal.SIG_IGN)
signal.signal(signal.SIGUSR1, signal.SIG_IGN)
