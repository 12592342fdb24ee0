#!/usr/bin/env bash
# Test ToyBank with random sequences of commands: test_toybank.sh --help.
set -euo pipefail

service=toybank title=ToyBank prefix=TOYBANK port=4555 models=""

# shellcheck source-path=SCRIPTDIR source=service.sh
. "$(dirname "${BASH_SOURCE[0]}")/service.sh"
run_tests "$@"
