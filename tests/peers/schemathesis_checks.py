"""What schemathesis checks of calls over HTTP, beside its own checks."""

import schemathesis


@schemathesis.check
def passed_deadlines_are_explained(ctx, response, case):
    """The body of a 504 says so."""
    if response.status_code == 504:
        problem = response.json()
        assert problem["code"] == -32000 and problem["status"] == 504, problem
        assert problem["detail"], problem
