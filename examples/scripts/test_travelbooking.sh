#!/usr/bin/env bash
# Test TravelBooking with random sequences of commands: test_travelbooking.sh --help.
set -euo pipefail

service=travelbooking title=TravelBooking prefix=TRAVELBOOKING port=4445 models=--lifecycle

# shellcheck source-path=SCRIPTDIR source=service.sh
. "$(dirname "${BASH_SOURCE[0]}")/service.sh"
run_tests "$@"
