"""The worker's maintenance on either engine, step by step as worker/upkeep does it."""

HOUR, DAY = "hour", "day"
WIDTHS = {HOUR: "1 hour", DAY: "24 hours"}


def fetch(cursor, sql, *params):
    cursor.execute(sql, params)
    return cursor.fetchone()[0]


class Upkeep:
    """Drives one database on a connection of its own, as the worker's role."""

    def __init__(self, database):
        self.engine = database.engine
        self.connection = database.connect("tidegate_worker", autocommit=True)
        self.cursor = self.connection.cursor()

    def refresh(self, hours=1000, days=1000):
        """Rolls up at most so many; how many hours and days that were (TimescaleDB: over all tenants)."""
        if self.engine == "timescale":
            return self.buckets(HOUR, hours), self.buckets(DAY, days)
        self.cursor.execute("BEGIN ISOLATION LEVEL REPEATABLE READ")
        done = (fetch(self.cursor, "SELECT data.refresh_hours(%s)", hours),
                fetch(self.cursor, "SELECT data.refresh_days(%s)", days))
        self.cursor.execute("COMMIT")
        return done

    def refresh_all(self):
        """Until nothing is left: a day may wait for its last hour."""
        while self.refresh() != (0, 0):
            pass

    # TimescaleDB's four steps

    def due(self, level, most):
        self.cursor.execute("SELECT data.fold_marks()")
        self.cursor.execute(f"SELECT data.due_{level}s(%s)", (most,))
        return [row[0] for row in self.cursor.fetchall()]

    def take(self, level, bucket):
        return fetch(self.cursor, "SELECT data.take_marks(%s, %s)", level, bucket)

    def call(self, level, bucket):
        self.cursor.execute(
            f"CALL public.refresh_continuous_aggregate('data.metric_{level}', %s::timestamptz,"
            f" %s::timestamptz + interval '{WIDTHS[level]}', force => true)", (bucket, bucket))

    def done(self, level, bucket, number, seconds=0.0):
        self.cursor.execute("SELECT data.marks_done(%s, %s, %s, %s)", (level, bucket, number, seconds))

    def buckets(self, level, most):
        due = self.due(level, most)
        for bucket in due:
            number = self.take(level, bucket)
            self.call(level, bucket)
            self.done(level, bucket, number)
        return len(due)

    # both

    def compress(self, age="0 hours"):
        """How many chunks."""
        done = 0
        while fetch(self.cursor, "SELECT data.compress_next(%s)", age) > 0:
            done += 1
        return done

    def drop(self):
        """How many days."""
        done = 0
        while fetch(self.cursor, "SELECT data.drop_next()") > 0:
            done += 1
        return done

    def parts(self):
        self.cursor.execute("SELECT * FROM data.retention_parts()")
        return self.cursor.fetchall()

    def expire(self, part, most=1000, age="0 days"):
        """One step on one part."""
        return fetch(self.cursor, "SELECT data.expire(%s, %s, %s, %s, %s, %s)", *part, age, most)

    def sweep(self, most=1000, age="0 days"):
        """Whatever is beyond its tenant's retention; how many rows, by table."""
        gone = {}
        for part in self.parts():
            while (rows := self.expire(part, most, age)) > 0:
                gone[part[0]] = gone.get(part[0], 0) + rows
        return gone
