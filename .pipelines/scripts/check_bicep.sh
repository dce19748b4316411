#!/usr/bin/env bash
# Compiles and lints infrastructure/ with Azure's own tool. Needs az, and no login.
#
#   .pipelines/scripts/check_bicep.sh
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"

az bicep build --file infrastructure/main.bicep --stdout >"$OUT/main.json"
az bicep lint --file infrastructure/main.bicep
