"""Background work at its times: each nominal time done once by any number of processes, whoever dies.

    DataService(..., build)  with  Parts(servicers, jobs=[Job("tidying", Every(minutes=5), tidy)])

`times` says when, `job` what is done about it, `worker` does it, `service` is what an operator sees and asks.
"""
