"""What schemathesis checks of calls over HTTP, beside its own checks."""

import schemathesis


@schemathesis.check
def failures_are_explained(ctx, response, case):
    """A method may fail (500), and a deadline pass (504): then the body says so. Nothing else does."""
    if response.status_code >= 500:
        problem = response.json()
        allowed = {500: -32603, 504: -32000}
        assert problem["code"] == allowed.get(response.status_code), problem
        assert problem["detail"] and problem["status"] == response.status_code, problem
