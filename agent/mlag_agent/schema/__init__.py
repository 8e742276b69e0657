"""YANG modules: which are served (library), their tree (nodes, model), libyang (engine), rpc input (operations)."""
