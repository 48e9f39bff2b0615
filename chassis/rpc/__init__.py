"""Calls between the application and the data services.

A data service serves its generated servicers; errors, principals, deadlines and validation need no line of code there::

    from chassis.rpc import server

    async def serve(settings: Settings, listener: Listener) -> Running:
        container = ...
        running = await server.start(
            listener,
            [
                (employee_pb2_grpc.add_EmployeeServiceServicer_to_server, EmployeeServicer(...)),
                (event_feed_pb2_grpc.add_EventFeedServiceServicer_to_server, feed),
            ],
            name="organization",  # the audience of assertions
            settings=settings,
            readiness=readiness,
        )
        return running.followed_by(database.close)

    class EmployeeServicer(employee_pb2_grpc.EmployeeServiceServicer):
        async def GetEmployee(self, request, context):
            call = current_call()  # chassis.principal: principal, tenant_id, request_id, fingerprint, deadline
            return await self.queries.run(...)  # raise a DomainError to refuse

The application calls with one client per service::

    from chassis.rpc.channels import Channels, spending

    channels = Channels(settings, Signer.open(settings), addresses)
    organization = channels.to("organization")
    employees = organization.stub(employee_pb2_grpc.EmployeeServiceStub)  # once, kept

    with spending(10.0, trace_id) as budget:  # per HTTP request: the budget of all its calls
        found = await organization.call(employees.GetEmployee, request, principal=principal)
        hired = await organization.call(
            employees.HireEmployee, request, principal=principal, request_id=request_id, fingerprint=fingerprint
        )
    budget.replayed  # True: the answer of an earlier request with the same id

A failed call raises `RemoteError` (kind, reason, message, facts, fields, retry_after_s); `error_map.problem_of(error)`
turns it, a DomainError or anything else into the `Problem` that problem+json is written from.
"""
