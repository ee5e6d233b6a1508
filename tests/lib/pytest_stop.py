"""A pytest plugin: SIGTERM ends a run as Ctrl-C does, fixtures torn down."""

import signal


def pytest_configure(config):
    def stop(signum, frame):
        raise KeyboardInterrupt

    signal.signal(signal.SIGTERM, stop)
