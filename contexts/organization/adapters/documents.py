"""Stored documents are messages of the wire contract, so that a read passes them on without building them."""

from muster.organization.v1 import employee_pb2 as pb

from contexts.organization.adapters.codec import person_to_proto, work_to_proto
from contexts.organization.domain.history import Segment


class ProtoDocuments:
    """The facts of a segment as `Person` and `WorkFacts` messages; encrypted fields stay out of them."""

    def encode(self, segment: Segment) -> tuple[bytes, bytes | None]:
        """The person and the work facts; the same bytes for the same facts."""
        person: pb.Person = person_to_proto(segment.person)
        work = None if segment.work is None else work_to_proto(segment.work).SerializeToString(deterministic=True)
        return person.SerializeToString(deterministic=True), work
