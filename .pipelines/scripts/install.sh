#!/usr/bin/env bash
# Installs cva, without torch, into the Python that is first on PATH (activate a virtual environment first).
#
#   .pipelines/scripts/install.sh base|v1|v2
#
# base: settings and scoring. v1, v2: with the Azure packages of that generation (AZUREML_SDK), too. requirements/ pins
# every version.
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"

pins=(--constraint requirements/base.txt)
case ${1:-} in
  base) package=. ;;
  v1) package='.[azure-v1]' pins+=(--constraint requirements/azure-v1.txt) ;;
  v2) package='.[azure]' pins+=(--constraint requirements/azure.txt) ;;
  *)
    usage >&2
    exit 2
    ;;
esac
python -m pip install --quiet --disable-pip-version-check 'pip==26.3'
python -m pip install --quiet "${pins[@]}" "$package"
