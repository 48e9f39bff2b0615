"""REST operations of people."""

from typing import Annotated

from fastapi import Depends, Path, Query, Request

from application.edge.fields import Code, Id
from application.edge.operation import Criticality, IfMatch, RateClass
from application.edge.pages import AsOfQuery, Page
from application.edge.routes import Routes
from application.people import codec, schemas
from application.people.use_cases import People

BULK_BYTES = 4 * 1024 * 1024

routes = Routes("people")


async def people_of(request: Request) -> People:
    """The use cases of this application."""
    found: People = request.app.state.people
    return found


Uses = Annotated[People, Depends(people_of)]
EmployeeId = Annotated[Id, Path(description="The employee.")]
ChangeId = Annotated[Id, Path(description="The change, from the history.")]
EntryCode = Annotated[Code, Path(description="Code of the entry, unique in its kind.")]


@routes.post("/v1/employees", "employee.hire", tag="employees", status=201)
async def hire_employee(body: schemas.HireBody, people: Uses) -> schemas.EmployeeView:
    """Hire a person who was never here: PENDING before the hire date, ACTIVE from it on."""
    return await people.hire(body)


@routes.post(
    "/v1/employees/batch",
    "employee.hire",
    tag="employees",
    criticality=Criticality.DEFERRABLE,
    body_bytes=BULK_BYTES,
    rate=RateClass.BULK,
)
async def hire_employees(body: schemas.HireBatchBody, people: Uses) -> schemas.HireBatchView:
    """Hire up to 500 people at once, with one result per item; a refused one does not stop the others."""
    return await people.hire_batch(body)


@routes.get("/v1/employees", "employee.list", tag="employees", criticality=Criticality.DEFERRABLE)
async def list_employees(query: Annotated[schemas.EmployeesQuery, Query()], people: Uses) -> Page[schemas.EmployeeView]:
    """A page of the employees that the caller may see, as of a date."""
    return await people.list(query)


@routes.get("/v1/employees/{employee_id}", "employee.read", tag="employees")
async def get_employee(
    employee_id: EmployeeId, query: Annotated[AsOfQuery, Query()], people: Uses
) -> schemas.EmployeeView:
    """One employee as of a date and as known at an instant."""
    return await people.get(employee_id, query)


@routes.get("/v1/employees/{employee_id}/history", "employee.history", tag="employees")
async def get_employee_history(
    employee_id: EmployeeId, query: Annotated[schemas.HistoryQuery, Query()], people: Uses
) -> schemas.HistoryView:
    """What was recorded of one employee, in the order of recording."""
    return await people.history(employee_id, query)


@routes.patch(
    "/v1/employees/{employee_id}/person", "employee.update_person", tag="employees", if_match=IfMatch.REQUIRED
)
async def update_person(employee_id: EmployeeId, body: schemas.PersonUpdateBody, people: Uses) -> schemas.EmployeeView:
    """Change facts of the person from a date on; what is not named stays."""
    return await people.update_person(employee_id, body)


@routes.post(
    "/v1/employees/{employee_id}/transfers", "employee.transfer", tag="employees", status=201, if_match=IfMatch.REQUIRED
)
async def transfer_employee(employee_id: EmployeeId, body: schemas.TransferBody, people: Uses) -> schemas.EmployeeView:
    """Change facts of the assignment from a date on."""
    return await people.transfer(employee_id, body)


@routes.post(
    "/v1/employees/{employee_id}/promotions", "employee.promote", tag="employees", status=201, if_match=IfMatch.REQUIRED
)
async def promote_employee(employee_id: EmployeeId, body: schemas.PromotionBody, people: Uses) -> schemas.EmployeeView:
    """Raise position, grade and pay in one change from a date on; the history names it PROMOTION."""
    return await people.promote(employee_id, body)


@routes.post(
    "/v1/employees/{employee_id}/manager-changes",
    "employee.change_manager",
    tag="employees",
    status=201,
    if_match=IfMatch.REQUIRED,
)
async def change_manager(
    employee_id: EmployeeId, body: schemas.ManagerChangeBody, people: Uses
) -> schemas.EmployeeView:
    """Change the manager from a date on."""
    return await people.change_manager(employee_id, body)


@routes.post(
    "/v1/employees/{employee_id}/compensation-changes",
    "compensation.change",
    tag="employees",
    status=201,
    if_match=IfMatch.REQUIRED,
)
async def change_compensation(
    employee_id: EmployeeId, body: schemas.CompensationChangeBody, people: Uses
) -> schemas.EmployeeView:
    """Change the compensation, or allowances, from a date on."""
    return await people.change_compensation(employee_id, body)


@routes.post(
    "/v1/employees/{employee_id}/bank-accounts",
    "bank_account.change",
    tag="employees",
    status=201,
    if_match=IfMatch.REQUIRED,
)
async def change_bank_accounts(
    employee_id: EmployeeId, body: schemas.BankAccountsBody, people: Uses
) -> schemas.EmployeeView:
    """Replace the bank accounts from a date on."""
    return await people.change_bank_accounts(employee_id, body)


@routes.post(
    "/v1/employees/{employee_id}/statutory-profiles",
    "statutory_profile.change",
    tag="employees",
    status=201,
    if_match=IfMatch.REQUIRED,
)
async def change_statutory_profile(
    employee_id: EmployeeId, body: schemas.StatutoryProfileChangeBody, people: Uses
) -> schemas.EmployeeView:
    """Change statutory answers from a date on; those not named stay."""
    return await people.change_statutory_profile(employee_id, body)


@routes.post(
    "/v1/employees/{employee_id}/terminations",
    "employee.terminate",
    tag="employees",
    status=201,
    if_match=IfMatch.REQUIRED,
)
async def terminate_employee(
    employee_id: EmployeeId, body: schemas.TerminationBody, people: Uses
) -> schemas.EmployeeView:
    """End the employment with a last day."""
    return await people.terminate(employee_id, body)


@routes.post(
    "/v1/employees/{employee_id}/rehires", "employee.rehire", tag="employees", status=201, if_match=IfMatch.REQUIRED
)
async def rehire_employee(employee_id: EmployeeId, body: schemas.RehireBody, people: Uses) -> schemas.EmployeeView:
    """Open a new spell of a former employee, who keeps id and number."""
    return await people.rehire(employee_id, body)


@routes.post(
    "/v1/employees/{employee_id}/corrections",
    "employee.correct",
    tag="employees",
    status=201,
    if_match=IfMatch.REQUIRED,
)
async def correct_employee(employee_id: EmployeeId, body: schemas.CorrectionBody, people: Uses) -> schemas.EmployeeView:
    """Supersede a change that was recorded wrongly."""
    return await people.correct(employee_id, body)


@routes.delete(
    "/v1/employees/{employee_id}/future-changes/{change_id}",
    "employee.cancel_change",
    tag="employees",
    if_match=IfMatch.OPTIONAL,
)
async def cancel_employee_change(employee_id: EmployeeId, change_id: ChangeId, people: Uses) -> schemas.EmployeeView:
    """Cancel a recorded change (a future one, or a hire or termination to rescind): as if it had never been.

    A change that was corrected goes with its corrections; of a correction only the correction goes, and what it
    corrected stands again.
    """
    return await people.cancel_change(employee_id, change_id)


@routes.get("/v1/org-chart", "org_chart.read", tag="org chart", criticality=Criticality.DEFERRABLE)
async def get_org_chart(query: Annotated[schemas.OrgChartQuery, Query()], people: Uses) -> schemas.OrgChartView:
    """The whole org chart on a date."""
    return await people.org_chart(query)


@routes.put("/v1/legal-entities/{code}", "org_chart.publish", tag="org chart", if_match=IfMatch.OPTIONAL)
async def put_legal_entity(code: EntryCode, body: schemas.LegalEntityBody, people: Uses) -> schemas.LegalEntityView:
    """Publish a legal entity from a date on: a change-set of one."""
    view: schemas.LegalEntityView = await people.put_entry(code, body, codec.legal_entity_view)
    return view


@routes.post(
    "/v1/legal-entities/{code}/closings", "org_chart.publish", tag="org chart", status=201, if_match=IfMatch.OPTIONAL
)
async def close_legal_entity(code: EntryCode, body: schemas.EntryClosingBody, people: Uses) -> schemas.EntryClosingView:
    """Close a legal entity from a date on.

    Refused (ENTRY_IN_USE, with who and how many) while an employee or a registration has it on that day or later.
    """
    return await people.close_entry("LEGAL_ENTITY", code, body)


@routes.get("/v1/legal-entities/{code}", "org_chart.read", tag="org chart")
async def get_legal_entity(
    code: EntryCode, query: Annotated[schemas.OrgChartQuery, Query()], people: Uses
) -> schemas.LegalEntityView:
    """One of the legal entities on a date."""
    view: schemas.LegalEntityView = await people.get_entry("LEGAL_ENTITY", code, query, codec.legal_entity_view)
    return view


@routes.get("/v1/legal-entities", "org_chart.read", tag="org chart")
async def list_legal_entities(
    query: Annotated[schemas.EntriesQuery, Query()], people: Uses
) -> Page[schemas.LegalEntityView]:
    """The legal entities on a date, by code."""
    return await people.list_entries("LEGAL_ENTITY", query, codec.legal_entity_view)


@routes.put("/v1/withholding-registrations/{code}", "org_chart.publish", tag="org chart", if_match=IfMatch.OPTIONAL)
async def put_withholding_registration(
    code: EntryCode, body: schemas.WithholdingRegistrationBody, people: Uses
) -> schemas.WithholdingRegistrationView:
    """Publish a withholding registration from a date on: a change-set of one."""
    view: schemas.WithholdingRegistrationView = await people.put_entry(code, body, codec.registration_view)
    return view


@routes.post(
    "/v1/withholding-registrations/{code}/closings",
    "org_chart.publish",
    tag="org chart",
    status=201,
    if_match=IfMatch.OPTIONAL,
)
async def close_withholding_registration(
    code: EntryCode, body: schemas.EntryClosingBody, people: Uses
) -> schemas.EntryClosingView:
    """Close a withholding registration from a date on."""
    return await people.close_entry("WITHHOLDING_REGISTRATION", code, body)


@routes.get("/v1/withholding-registrations/{code}", "org_chart.read", tag="org chart")
async def get_withholding_registration(
    code: EntryCode, query: Annotated[schemas.OrgChartQuery, Query()], people: Uses
) -> schemas.WithholdingRegistrationView:
    """One of the withholding registrations on a date."""
    view: schemas.WithholdingRegistrationView = await people.get_entry(
        "WITHHOLDING_REGISTRATION", code, query, codec.registration_view
    )
    return view


@routes.get("/v1/withholding-registrations", "org_chart.read", tag="org chart")
async def list_withholding_registrations(
    query: Annotated[schemas.EntriesQuery, Query()], people: Uses
) -> Page[schemas.WithholdingRegistrationView]:
    """The withholding registrations on a date, by code."""
    return await people.list_entries("WITHHOLDING_REGISTRATION", query, codec.registration_view)


@routes.put("/v1/locations/{code}", "org_chart.publish", tag="org chart", if_match=IfMatch.OPTIONAL)
async def put_location(code: EntryCode, body: schemas.LocationBody, people: Uses) -> schemas.LocationView:
    """Publish a workplace from a date on: a change-set of one."""
    view: schemas.LocationView = await people.put_entry(code, body, codec.location_view)
    return view


@routes.post(
    "/v1/locations/{code}/closings", "org_chart.publish", tag="org chart", status=201, if_match=IfMatch.OPTIONAL
)
async def close_location(code: EntryCode, body: schemas.EntryClosingBody, people: Uses) -> schemas.EntryClosingView:
    """Close a workplace from a date on.

    Refused (ENTRY_IN_USE, with who and how many) while an employee has it on that day or later.
    """
    return await people.close_entry("LOCATION", code, body)


@routes.get("/v1/locations/{code}", "org_chart.read", tag="org chart")
async def get_location(
    code: EntryCode, query: Annotated[schemas.OrgChartQuery, Query()], people: Uses
) -> schemas.LocationView:
    """One of the workplaces on a date."""
    view: schemas.LocationView = await people.get_entry("LOCATION", code, query, codec.location_view)
    return view


@routes.get("/v1/locations", "org_chart.read", tag="org chart")
async def list_locations(query: Annotated[schemas.EntriesQuery, Query()], people: Uses) -> Page[schemas.LocationView]:
    """The workplaces on a date, by code."""
    return await people.list_entries("LOCATION", query, codec.location_view)


@routes.put("/v1/departments/{code}", "org_chart.publish", tag="org chart", if_match=IfMatch.OPTIONAL)
async def put_department(code: EntryCode, body: schemas.DepartmentBody, people: Uses) -> schemas.DepartmentView:
    """Publish a department from a date on: a change-set of one. With another parent it moves, with everybody in it."""
    view: schemas.DepartmentView = await people.put_entry(code, body, codec.department_view)
    return view


@routes.post(
    "/v1/departments/{code}/closings", "org_chart.publish", tag="org chart", status=201, if_match=IfMatch.OPTIONAL
)
async def close_department(code: EntryCode, body: schemas.EntryClosingBody, people: Uses) -> schemas.EntryClosingView:
    """Close a department from a date on.

    Refused (ENTRY_IN_USE, with who and how many) while an employee, a position or a department below is in it on that
    day or later.
    """
    return await people.close_entry("DEPARTMENT", code, body)


@routes.get("/v1/departments/{code}", "org_chart.read", tag="org chart")
async def get_department(
    code: EntryCode, query: Annotated[schemas.OrgChartQuery, Query()], people: Uses
) -> schemas.DepartmentView:
    """One of the departments on a date."""
    view: schemas.DepartmentView = await people.get_entry("DEPARTMENT", code, query, codec.department_view)
    return view


@routes.get("/v1/departments", "org_chart.read", tag="org chart")
async def list_departments(
    query: Annotated[schemas.EntriesQuery, Query()], people: Uses
) -> Page[schemas.DepartmentView]:
    """The departments on a date, by code."""
    return await people.list_entries("DEPARTMENT", query, codec.department_view)


@routes.put("/v1/positions/{code}", "org_chart.publish", tag="org chart", if_match=IfMatch.OPTIONAL)
async def put_position(code: EntryCode, body: schemas.PositionBody, people: Uses) -> schemas.PositionView:
    """Publish a position from a date on: a change-set of one."""
    view: schemas.PositionView = await people.put_entry(code, body, codec.position_view)
    return view


@routes.post(
    "/v1/positions/{code}/closings", "org_chart.publish", tag="org chart", status=201, if_match=IfMatch.OPTIONAL
)
async def close_position(code: EntryCode, body: schemas.EntryClosingBody, people: Uses) -> schemas.EntryClosingView:
    """Close a position from a date on.

    Refused (ENTRY_IN_USE, with who and how many) while an employee has it on that day or later.
    """
    return await people.close_entry("POSITION", code, body)


@routes.get("/v1/positions/{code}", "org_chart.read", tag="org chart")
async def get_position(
    code: EntryCode, query: Annotated[schemas.OrgChartQuery, Query()], people: Uses
) -> schemas.PositionView:
    """One of the positions on a date."""
    view: schemas.PositionView = await people.get_entry("POSITION", code, query, codec.position_view)
    return view


@routes.get("/v1/positions", "org_chart.read", tag="org chart")
async def list_positions(query: Annotated[schemas.EntriesQuery, Query()], people: Uses) -> Page[schemas.PositionView]:
    """The positions on a date, by code."""
    return await people.list_entries("POSITION", query, codec.position_view)


@routes.get("/v1/headcount", "headcount.read", tag="org chart", criticality=Criticality.DEFERRABLE)
async def list_headcount(query: Annotated[schemas.EntriesQuery, Query()], people: Uses) -> Page[schemas.HeadcountView]:
    """The positions on a date with how many people they are planned for and how many hold them, by code."""
    return await people.headcount(query)
