"""An Azure ML workspace: its six parts over what either generation of the SDK answers (`service.py`)."""
