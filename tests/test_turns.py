"""Turns: first come, first served, and nobody is forgotten."""

from __future__ import annotations

import random
import threading
import time

from tenantry.turns import Queue, Turn


def test_one_at_a_time_and_in_the_order_of_coming() -> None:
    queue, served = Queue(), []
    first = Turn(queue)
    assert first.take(1)

    def wait(number: int) -> None:
        turn = Turn(queue)
        assert turn.take(10)
        served.append(number)
        turn.give_up()

    threads = []
    for number in range(8):
        threads.append(threading.Thread(target=wait, args=(number,)))
        threads[-1].start()
        while len(queue._waiting) <= number:
            time.sleep(0.001)
    assert served == []
    first.give_up()
    for thread in threads:
        thread.join()
    assert served == list(range(8))


def test_who_gives_up_waiting_is_not_in_the_way() -> None:
    queue = Queue()
    first, late, third = Turn(queue), Turn(queue), Turn(queue)
    assert first.take(1)
    assert not late.take(0.01)
    first.give_up()
    assert third.take(0)
    assert not late.take(0)
    third.give_up()
    assert late.take(0)


def test_taking_and_giving_up_twice_is_once() -> None:
    queue = Queue()
    one, other = Turn(queue), Turn(queue)
    assert one.take(0)
    assert one.take(0)
    one.give_up()
    assert other.take(0)
    one.give_up()
    assert not one.take(0)


def test_many_threads_that_wait_a_moment_at_most_never_meet() -> None:
    queue, inside, most = Queue(), [0], [0]

    def work(seed: int) -> int:
        choose, done = random.Random(seed), 0
        for _ in range(300):
            turn = Turn(queue)
            if turn.take(choose.choice([0, 0.0001, 0.001])):
                inside[0] += 1
                most[0] = max(most[0], inside[0])
                time.sleep(choose.choice([0, 0.0001]))
                inside[0] -= 1
                done += 1
                turn.give_up()
        return done

    done: list[int] = []
    threads = [threading.Thread(target=lambda seed=seed: done.append(work(seed))) for seed in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert most == [1]
    assert sum(done) > 300
    assert not queue._waiting
    assert Turn(queue).take(0)
