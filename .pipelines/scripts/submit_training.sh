#!/usr/bin/env bash
# Starts one training run of the published pipeline and returns at once: no agent, token or person waits for it.
#
#   DATASET_NAME=caps MODEL_NAME=Cap_Detection_Model [CLUSTER=gpu-cluster] [EXPERIMENT=cap_detection] \
#     .pipelines/scripts/submit_training.sh
#
# Leaves run.json in $OUT; in a pipeline the output variable run_id. collect_training.sh tells how the run ended.
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"
need DATASET_NAME MODEL_NAME

cluster=${CLUSTER:-}
if [[ -z $cluster ]]; then cluster=$(setting AML_COMPUTE_CLUSTER_NAME); fi
asked=(--dataset-name "$DATASET_NAME" --model-name "$MODEL_NAME" --cluster "$cluster")
if [[ -n ${EXPERIMENT:-} ]]; then asked+=(--experiment "$EXPERIMENT"); fi
cva_json "$OUT/run.json" endpoint submit "${asked[@]}" --no-wait
run=$(answers value "$OUT/run.json" run)
answers submitted "$OUT/run.json" "$DATASET_NAME" "$MODEL_NAME" >"$OUT/submitted.md"
summary "$OUT/submitted.md"
vso 'task.setvariable variable=run_id;isOutput=true' "$run"
