// What is asked for again where the network was in the way: parts of the page that come when they are wanted, and calls that only look.

/** @template T @param {() => Promise<T>} from @param {number} [pause] milliseconds before the second try, twice as many before each further one @returns {Promise<T>} */
export async function later(from, pause = 300) {
	for (let tries = 0; ; tries++)
		try {
			return await from();
		} catch (error) {
			if (tries === 4) throw error;
			await new Promise(resolve => setTimeout(resolve, pause * 2 ** tries));
		}
}
